"""`python -m tests.cases [FOLDER]`: what the client makes of each case, beside what is right.

Exits with 0 where all that can be judged agree, with 1 where one does not, with 2 where FOLDER or a
file of it holds no case.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cases.calls import Got, MakeClient, make_call, settings_for
from tests.cases.case import CallName, Case, CaseError, read_cases
from tests.cases.right import RIGHT
from tests.cases.server import Provider
from workflows.gemini import Gemini

OWN = Path(__file__).parent / "provider"
_LONGEST = 150
"""Characters of what a call says: the beginning tells enough."""


@dataclass(frozen=True)
class Judged:
    """One line: `agrees` is yes, NO, explained or, where nothing is known of the case, `?`."""

    case: Case
    call: CallName
    got: Got
    agrees: str
    because: str = ""

    def __str__(self) -> str:
        got = " ".join(str(self.got).split())
        got = got if len(got) <= _LONGEST else f"{got[:_LONGEST]}…"
        why = f"\n{'':10}because: {self.because}" if self.because else ""
        return (
            f"{self.agrees:9} {self.case.name:24} {self.call:8} got: {got} | "
            f"right: {self.case.right}{why}"
        )


def judge(case: Case, call: CallName, got: Got) -> Judged:
    """Compare what came with the table."""
    right = RIGHT.get(case.name, {}).get(call)
    if right is None:
        return Judged(case, call, got, "?")
    problems = "; ".join(right.problems(got))
    if problems:
        return Judged(case, call, got, "NO", problems)
    return Judged(case, call, got, "explained" if right.explained else "yes", right.explained)


async def judge_all(cases: Sequence[Case], make: MakeClient = Gemini) -> list[Judged]:
    """Play all cases to a client, one call at a time."""
    with Provider() as provider:
        async with make(settings_for(provider.base_url)) as gemini:
            return [
                judge(case, call, await make_call(gemini, provider, case, call))
                for case in cases
                for call in case.call
            ]


def report(judged: Sequence[Judged]) -> Iterator[str]:
    """A line for each call, and the sum."""
    yield from map(str, judged)
    count = Counter(each.agrees for each in judged)
    names = {each.case.name for each in judged}
    yield (
        f"\n{len(names)} cases, {len(judged)} calls: {count['yes']} agree, "
        f"{count['explained']} explained, {count['NO']} disagree, {count['?']} not judged"
    )


def main(arguments: Sequence[str] | None = None, make: MakeClient = Gemini) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.cases", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=OWN)
    folder = parser.parse_args(arguments).folder
    try:
        judged = asyncio.run(judge_all(read_cases(folder), make))
    except CaseError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command
        return 2
    for line in report(judged):
        print(line)  # noqa: T201 - likewise
    return 1 if any(each.agrees == "NO" for each in judged) else 0


if __name__ == "__main__":
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"  # the server is on this machine
    warnings.simplefilter("ignore", UserWarning)  # the client's, of values newer than itself
    sys.exit(main())
