"""Runs a command that must not outlive the process that asked for it.

`python leash.py COMMAND...`, as the leader of a process group. Its standard input is a pipe that
only the asker holds: its end means that the asker is gone, even by SIGKILL, and the whole group
is killed.
"""

import os
import signal
import subprocess
import sys
import threading


def _kill_group_when_abandoned() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command to its end; the exit code is its own, 128 + n for signal n."""
    threading.Thread(target=_kill_group_when_abandoned, daemon=True).start()
    try:
        code = subprocess.call(command, stdin=subprocess.DEVNULL)  # noqa: S603 - chaos.process.programs names the command
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}\n")
        return 126
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
