"""What the documentation says can be done: links lead somewhere, code compiles, options exist."""

from __future__ import annotations

import argparse
import ast
import importlib
import pkgutil
import re
import shlex
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import benchmarks.__main__
import chaos
import workflows
from chaos.__main__ import make_parser
from tests.chaos.video.scenarios.catalogue import all_scenarios
from workflows.alerts import receivers

PROJECT = Path(__file__).parents[2]
PAGES = sorted((PROJECT / "docs").rglob("*.md"))
DOCUMENTS = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(PROJECT / name for name in ("examples/README.md", "reports/README.md")),
    *PAGES,
]
README = (PROJECT / "README.md").read_text()

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_SHELL = ("", "bash", "console", "sh")
_TABLE = re.compile(r"^\| variable .*\n\|[-| ]+\n((?:\|.*\n)+)", re.MULTILINE)
_OURS = ("temporal-chaos", "nox", "pytest", "python", "python3")

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda file: str(file.relative_to(PROJECT))
)


def _prose(document: Path) -> str:
    return _FENCE.sub("", document.read_text())


def _anchors(document: Path) -> set[str]:
    """Of its headings, as GitHub and the site make them, and of the API that it shows."""
    text = _prose(document)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", each).strip().lower()) for each in titles}
    return slugs | set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))


@every_document
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", _prose(document)):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document

        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


@every_document
def test_every_block_of_python_compiles(document: Path) -> None:
    for language, code in _FENCE.findall(document.read_text()):
        if language == "python":
            compile(textwrap.dedent(code), str(document), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@every_document
def test_every_command_and_option_exists(document: Path, pytestconfig: pytest.Config) -> None:
    wrong = [
        f"{' '.join(words)}: {problem}"
        for words in _commands(document)
        if (problem := _problem(words, _pytest_options(pytestconfig)))
    ]

    assert wrong == []


def _commands(document: Path) -> Iterator[list[str]]:
    """Those of the project: each line of a block of shell, and what stands in backticks."""
    text = document.read_text()
    blocks = [code for language, code in _FENCE.findall(text) if language in _SHELL]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    for line in [*lines, *_INLINE.findall(_FENCE.sub("", text))]:
        if not line.startswith(_OURS):
            continue
        for part in re.split(r"\s(?:&&|\||>)\s", line):
            words = shlex.split(part, comments=True)
            if words and words[0] in _OURS:
                yield words


def _problem(words: list[str], pytest_options: set[str]) -> str | None:
    """What of a command does not exist."""
    program, *rest = words
    if program == "pytest":
        return _unknown(rest, pytest_options)
    if program == "nox" or "noxfile.py" in rest[:1]:
        return _problem_of_nox(rest[rest.index("-s") + 1 :] if "-s" in rest else [], pytest_options)
    if program == "temporal-chaos" or rest[:2] == ["-m", "chaos"]:
        return _problem_of_chaos(rest if program == "temporal-chaos" else rest[2:], pytest_options)
    if rest[:1] == ["-m"] and len(rest) > 1 and find_spec(rest[1].split(".")[0]) is not None:
        return None if _exists(rest[1]) else f"there is no module {rest[1]}"
    return None


def _exists(module: str) -> bool:
    """Of the project: others, such as the examples', are found from their own folders."""
    first = module.split(".", maxsplit=1)[0]
    return not (PROJECT / first).is_dir() or find_spec(module) is not None


def _problem_of_nox(rest: list[str], pytest_options: set[str]) -> str | None:
    sessions = set(
        re.findall(
            r"^@nox\.session[^\n]*\ndef (\w+)", (PROJECT / "noxfile.py").read_text(), re.MULTILINE
        )
    )
    named, arguments = (
        (rest[: rest.index("--")], rest[rest.index("--") + 1 :]) if "--" in rest else (rest, [])
    )
    if unknown := [each for each in named if each not in {*sessions, "…"}]:
        return f"there is no session {unknown}"
    if named == ["explore"]:
        return _problem_of_chaos(["explore", *arguments], pytest_options)
    if named == ["bench"]:
        return _unknown(arguments, set(benchmarks.__main__._parser()._option_string_actions))
    return _unknown(arguments, pytest_options)


def _problem_of_chaos(rest: list[str], pytest_options: set[str]) -> str | None:
    parser, name = make_parser("temporal-chaos"), rest[:1]
    while rest and not rest[0].startswith("-") and (commands := _commands_of(parser)):
        if rest[0] not in commands:
            return f"there is no command {rest[0]}"
        parser, rest = commands[rest[0]], rest[1:]
    known = set(parser._option_string_actions)
    return _unknown(rest, known | pytest_options if name == ["run"] else known)


def _commands_of(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Those that a parser has, such as those of `campaign`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}


def _unknown(arguments: list[str], options: set[str]) -> str | None:
    given = {each.partition("=")[0] for each in arguments if re.match(r"--?[a-z]", each)}
    return f"there is no option {sorted(given - options)}" if given - options else None


def _pytest_options(config: pytest.Config) -> set[str]:
    groups = [config._parser._anonymous, *config._parser._groups]
    return {name for group in groups for option in group.options for name in option.names()}


def test_a_wrong_command_is_seen(pytestconfig: pytest.Config) -> None:
    """Else the test above could not fail."""
    known = _pytest_options(pytestconfig)
    wrong = (
        "temporal-chaos nonesuch",
        "temporal-chaos probe --nonesuch",
        "temporal-chaos campaign nonesuch",
        "temporal-chaos campaign status --nonesuch",
        "pytest --nonesuch",
        "nox -s nonesuch",
        "python3 noxfile.py -s bench -- --nonesuch",
        "python -m workflows.nonesuch",
    )

    assert [_problem(command.split(), known) is not None for command in wrong] == [True] * len(
        wrong
    )


def _settings() -> set[str]:
    """The variables that any of the video system's programs reads."""
    for module in pkgutil.walk_packages(workflows.__path__, "workflows."):
        if module.name.endswith("settings"):
            importlib.import_module(module.name)
    ours = [
        each for each in BaseSettings.__subclasses__() if each.__module__.startswith("workflows.")
    ]
    return {name.upper() for each in ours for name in each.model_fields}


def test_the_tables_have_every_setting_and_no_other() -> None:
    tables = [table for page in PAGES for table in _TABLE.findall(page.read_text())]
    rows = [row for table in tables for row in table.splitlines()]
    documented = {name for row in rows for name in re.findall(r"[A-Z_]{5,}", row.split("|")[1])}

    assert documented == _settings() | {receivers.VARIABLE}


def test_the_api_reference_has_each_public_name_once() -> None:
    pages = "\n".join(page.read_text() for page in (PROJECT / "docs" / "api").glob("*.md"))
    shown = Counter(re.findall(r"^::: chaos\.(\w+)$", pages, re.MULTILINE))

    assert shown == Counter(chaos.__all__)


def test_the_readme_is_short_and_its_table_names_scenarios() -> None:
    rows = re.findall(r"^\| (\d+)\. (.+?) +\| Complete", README, re.MULTILINE)

    assert len(README.splitlines()) <= 150
    assert len(rows) == 5
    assert rows == [(str(each.number), each.title) for each in all_scenarios()[:5]]
    assert "OVERALL: {0}/{0} tests passed".format(len(all_scenarios())) in README


def test_the_glossary_is_short() -> None:
    words = re.findall(r"^\| \*\*", (PROJECT / "docs" / "glossary.md").read_text(), re.MULTILINE)

    assert 20 <= len(words) <= 30
