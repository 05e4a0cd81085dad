"""`python -m chaos.binaries`: find or install the Temporal CLI, and print where it is."""

from __future__ import annotations

import sys

from chaos.binaries import BadBinaryError, BinaryNotFoundError, find_temporal_cli


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> int:
    """Exit code 0, or 2 where there is none."""
    try:
        cli = find_temporal_cli(None, announce=_tell)
    except (BadBinaryError, BinaryNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"{cli.path} (Temporal Server {cli.server_version}, by {cli.source})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
