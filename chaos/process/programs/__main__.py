"""`python -m chaos.process.programs`: find or install the Temporal CLI, and print where it is.

`python -m chaos.process.programs NAME...` does so for other programs, `--all` for all of them.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from chaos.evidence import text as shown
from chaos.process.programs import (
    PROGRAMS,
    BadBinaryError,
    BinaryNotFoundError,
    Program,
    find_program,
)
from chaos.process.reaper import Reaper
from chaos.process.streams import complain, give_up, repair_streams


def _parse(arguments: Sequence[str] | None) -> Sequence[Program]:
    parser = argparse.ArgumentParser(prog="python -m chaos.process.programs", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--all", action="store_true", help="all of them")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in PROGRAMS]
    if unknown:
        parser.error(f"{unknown[0]} is not one of {', '.join(PROGRAMS)}")
    names = list(PROGRAMS) if given.all else given.names or ["temporal"]
    return [PROGRAMS[name] for name in names]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 if one of them cannot be found or installed."""
    repair_streams()
    try:
        programs = _parse(arguments)
        with Reaper() as reaper:
            for program in programs:
                found = find_program(
                    program, None, announce=complain, environment=reaper.environment
                )
                said = f"{found.path} (Temporal Server {found.server_version}, by {found.source})"
                sys.stdout.write(f"{shown.line(said)}\n")
                sys.stdout.flush()
    except (BadBinaryError, BinaryNotFoundError) as error:
        complain(str(error))
        return 2
    except OSError as error:
        give_up(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return 128 + signal.SIGPIPE
        complain(f"standard output cannot be written to: {error.strerror}.")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
