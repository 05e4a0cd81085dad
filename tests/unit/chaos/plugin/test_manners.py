"""What pytest does in somebody's project where the plugin is installed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Within a test pytester forgets what it imports; the SDK's protocol can be imported only once.
from chaos.plugin import _ended_in_order, given, options
from chaos.plugin.collecting import Collecting

pytest_plugins = ["pytester"]

ALONE = ("-p", "no:cacheprovider", "-p", "no:asyncio")
"""Without what would write or warn."""

SCENARIOS = """
from chaos import Case, Scenario, Target

async def nothing(lab):
    pass

{target} = Target(worker=("true",), task_queue="q", scenarios=lambda: SCENARIOS)
SCENARIOS = [
    Scenario(
        name="{name}",
        title="Title",
        cases=[
            Case(
                name="once",
                target={target},
                experiment=nothing,
                proofs=[],
                load=lambda _: [],
                invariants=[],
                undisturbed=True,
            )
        ],
    )
]
"""
TEST = """
import pytest

@pytest.mark.chaos
def test_survives(scenario, survives):
    survives(scenario)
"""
CONFTEST = f"""
import pytest
from chaos.plugin import _ended_in_order, given, options
from chaos.plugin.collecting import Collecting

pytest_plugins = {["chaos.plugin"]!r}

def pytest_addoption(parser):
    options.add_options(parser.getgroup("short").addoption, "--")

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.stash[given.SPELLING] = "--"
"""


def project(folder: Path, name: str, *, target: str = "SHOP", module: str = "shop_target") -> Path:
    """Somebody's project, of which a table says where its scenarios are."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "pyproject.toml").write_text(f'[tool.chaos]\ntargets = ["{module}:{target}"]\n')
    (folder / f"{module}.py").write_text(SCENARIOS.format(name=name, target=target))
    (folder / f"test_{module}_chaos.py").write_text(TEST)
    return folder


@pytest.fixture
def shop(pytester: pytest.Pytester) -> pytest.Pytester:
    """One scenario, and a test of another kind."""
    project(pytester.path, "shop_survives")
    pytester.makepyfile(test_other="def test_other(): pass")
    return pytester


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "chaos.plugin", *ALONE, *arguments)


def collected(pytester: pytest.Pytester, *arguments: str) -> list[str]:
    lines = run(pytester, "--collect-only", "-q", *arguments).outlines
    return [line.rpartition("::")[2] for line in lines if "::" in line]


def test_to_load_it_is_to_load_nothing_heavy() -> None:
    heavy = ("temporalio", "google", "pydantic", "rich", "httpx", "psutil", "jinja2", "asyncio")
    program = (
        "import sys, pytest; before = set(sys.modules); import chaos.plugin; "
        f"print(*(set(sys.modules) - before) & set({heavy}), len(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert int(done.stdout) < 30, done.stdout


def test_a_project_without_scenarios_sees_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): pass")

    def said(*plugins: str) -> list[str]:
        lines = pytester.runpytest_subprocess(*plugins, "-p", "no:cacheprovider").outlines
        return [
            line.partition(" in ")[0].strip("=")
            for line in lines
            if not line.startswith("plugins: ")
        ]

    assert said("-p", "chaos.plugin") == said("-p", "no:chaos.plugin")
    assert any("1 passed" in line for line in said("-p", "chaos.plugin"))


def test_scenarios_run_only_where_somebody_asks_for_them(shop: pytest.Pytester) -> None:
    done = run(shop)

    done.assert_outcomes(passed=1, deselected=1)
    done.stdout.fnmatch_lines(
        ["chaos: 1 test of scenarios deselected; run them by -m chaos, or by naming their file"]
    )
    assert not (shop.path / "reports").exists()


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], ["test_other"]),
        (["."], ["test_other"]),
        (["-k", "survives"], []),
        (["-m", "not slow"], ["test_other"]),
        (["-m", "chaos"], ["test_survives[shop_survives]"]),
        (["-m", "not chaos"], ["test_other"]),
        (["test_shop_target_chaos.py"], ["test_survives[shop_survives]"]),
        (["test_shop_target_chaos.py::test_survives"], ["test_survives[shop_survives]"]),
        (
            ["test_shop_target_chaos.py::test_survives[shop_survives]"],
            ["test_survives[shop_survives]"],
        ),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else None,
)
def test_to_ask_is_to_name_the_mark_or_the_test(
    arguments: list[str], found: list[str], shop: pytest.Pytester
) -> None:
    assert collected(shop, *arguments) == found


def test_a_target_that_is_broken_is_told_in_a_sentence_to_who_asks(shop: pytest.Pytester) -> None:
    (shop.path / "shop_target.py").write_text("import no_such_module_anywhere")

    assert run(shop).ret == pytest.ExitCode.OK
    asked = run(shop, "-m", "chaos")
    assert asked.ret == pytest.ExitCode.USAGE_ERROR
    asked.stderr.fnmatch_lines(["ERROR: the target 'shop_target:SHOP' cannot be imported (*"])
    asked.stdout.no_fnmatch_line("*Traceback*")


def test_in_a_monorepo_each_test_has_its_own_projects_scenarios(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naddopts = --import-mode=importlib")
    project(pytester.path / "services" / "one", "first", module="first_target")
    project(pytester.path / "services" / "two", "second", module="second_target")

    assert collected(pytester, "-m", "chaos") == ["test_survives[first]", "test_survives[second]"]


def test_two_projects_with_a_module_of_one_name_are_not_mixed_up(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naddopts = --import-mode=importlib")
    project(pytester.path / "one", "first", module="twin_target")
    project(pytester.path / "two", "second", module="twin_target")

    done = run(pytester, "-m", "chaos")

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: *two/twin_target.py is needed, and *one/twin_target.py is*"])


@pytest.mark.parametrize(
    ("tests", "project_of_all"), [(["one"], "one"), (["two"], "two"), (["one", "two"], "")]
)
def test_the_project_of_a_run_is_that_of_all_its_tests(
    tests: list[str], project_of_all: str, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\naddopts = --import-mode=importlib")
    for name in ("one", "two"):
        project(pytester.path / name, f"of_{name}", module=f"{name}_common")
    items, _ = pytester.inline_genitems("-p", "chaos.plugin", *ALONE, "-m", "chaos", *tests)

    common = Collecting(items[0].config).common_project(items)

    assert common == pytester.path / project_of_all


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["--duration=9"], "--faults and --duration need --seed."),
        (["--seed=1", "--replay=x"], "--seed draws new schedules, and --replay runs saved ones: *"),
        (["--temporal-server=x"], "--temporal-server needs --topology postgres."),
        (["--topology=moon"], "*argument --topology: invalid choice: 'moon'*"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_where_a_conftest_has_shorter_names_options_are_named_by_these(
    typed: list[str], sentence: str, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(CONFTEST)

    done = run(pytester, *typed)

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*{sentence}"])


def test_by_default_they_are_named_by_their_long_names(pytester: pytest.Pytester) -> None:
    done = run(pytester, "--chaos-faults=kill")

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: --chaos-faults and --chaos-duration need --chaos-seed."])


def test_a_conftest_that_names_the_plugin_does_not_register_it_twice(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest('pytest_plugins = ["chaos.plugin"]')
    pytester.makepyfile("def test_one(): pass")

    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    pytester.runpytest_subprocess("-p", "chaos.plugin").assert_outcomes(passed=1)


def test_a_path_that_would_move_the_project_is_refused(pytester: pytest.Pytester) -> None:
    elsewhere = pytester.mkdir("elsewhere")

    done = run(pytester, "--chaos-reports", str(elsewhere))

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: write --chaos-reports={elsewhere}, with =: *"])
    given_well = run(pytester, f"--chaos-reports={elsewhere}")
    assert given_well.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_project_may_set_for_all_its_runs_what_the_command_line_then_changes(
    pytester: pytest.Pytester,
) -> None:
    keys = {"topology": "external", "reports": "kept", "temporal_cli": "bin/temporal"}
    lines = [*(f"chaos_{key} = {value}" for key, value in keys.items()), "chaos_workflows = 7"]
    pytester.makeini("\n".join(["[pytest]", *lines, "chaos_plain = true"]))

    config = pytester.parseconfig("-p", "chaos.plugin", *ALONE, "--chaos-workflows=9")

    names = ("topology", "reports", "temporal_cli", "workflows", "plain", "seed")
    assert [given.value(config, name) for name in names] == [
        "external",
        pytester.path / "kept",
        pytester.path / "bin" / "temporal",
        9,
        True,
        None,
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("chaos_topology = moon", "chaos_topology must be one of dev, postgres, external, not"),
        ("chaos_workflows = many", "chaos_workflows must be"),
    ],
)
def test_what_is_set_wrong_for_all_runs_is_told_with_its_place(
    line: str, sentence: str, pytester: pytest.Pytester
) -> None:
    ini = pytester.makeini(f"[pytest]\n{line}\n")
    config = pytester.parseconfig("-p", "chaos.plugin", *ALONE)

    with pytest.raises(pytest.UsageError) as raised:
        given.value(config, line.split(maxsplit=1)[0].removeprefix("chaos_"))

    assert f"{ini}: {sentence}" in str(raised.value)


@pytest.mark.parametrize("prefix", ["--chaos-", "--"])
def test_each_option_has_one_place_whatever_it_is_called(prefix: str) -> None:
    declared: dict[str, object] = {}
    options.add_options(lambda name, **more: declared.update({name: more["dest"]}), prefix)

    assert declared
    for name, place in declared.items():
        assert name.startswith(prefix)
        assert place == f"chaos_{name.removeprefix(prefix).replace('-', '_')}"


def test_a_conftest_may_refuse_a_run(shop: pytest.Pytester) -> None:
    shop.makeconftest(
        "import pytest\n"
        "def pytest_chaos_scenarios(config, scenarios):\n"
        "    raise pytest.UsageError(f'not {scenarios[0].name}')\n"
    )

    done = run(shop, "-m", "chaos")

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: not shop_survives"])
    assert not (shop.path / "reports").exists()


def test_a_conftest_may_leave_scenarios_out(shop: pytest.Pytester) -> None:
    shop.makeconftest("def pytest_chaos_scenarios(config, scenarios):\n    return []\n")

    done = run(shop, "-m", "chaos", "-rs")

    done.assert_outcomes(skipped=1, deselected=1)
    done.stdout.fnmatch_lines(["*shop_survives was deselected by pytest_chaos_scenarios."])
    assert not (shop.path / "reports").exists()


def test_sigterm_ends_a_run_as_ctrl_c_does_and_only_while_it_lasts() -> None:
    """By default it ends the process, and what a command has broken elsewhere would stay so."""
    with pytest.raises(KeyboardInterrupt), _ended_in_order():
        signal.raise_signal(signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_a_project_does_at_sigterm_stays() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        with _ended_in_order():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    assert seen == [signal.SIGTERM]
