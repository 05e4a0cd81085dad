"""A tiny kubectl: `python kubectl.py FOLDER VERB [POD]`. The pods are processes of somebody else,
each with a file of its process id in the folder.

`pods` lists names and process ids, `delete` sends SIGKILL to one, `gone` ends with 0 if it is gone.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path


def _is_alive(pid: int) -> bool:
    with suppress(OSError):
        # A dead child that nobody has waited for is gone as well.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def main(folder: Path, verb: str, *names: str) -> int:
    """The exit code."""
    pods = {file.name: int(file.read_text()) for file in sorted(folder.iterdir())}
    if verb == "pods":
        for name, pid in pods.items():
            if _is_alive(pid):
                sys.stdout.write(f"{name} {pid}\n")
        return 0
    (name,) = names
    if name not in pods:
        sys.stderr.write(f'Error from server (NotFound): pods "{name}" not found\n')
        return 1
    if verb == "delete":
        os.kill(pods[name], signal.SIGKILL)
        sys.stdout.write(f'pod "{name}" deleted\n')
        return 0
    return 1 if _is_alive(pods[name]) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
