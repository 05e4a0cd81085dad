"""All that is run by hand and in CI. Works without nox installed: `python3 noxfile.py -s tests`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).parent
OWN_ENVIRONMENT = PROJECT / ".nox" / ".bootstrap"
CONSTRAINTS = PROJECT / "constraints.txt"
DIST = PROJECT / "dist"
PYTHONS = ["3.11", "3.12", "3.13"]


def _bootstrap() -> None:
    """Run this file under a nox of its own; nothing is installed outside the project's folder.

    Debian and others refuse `pip install` into the system's Python, so nox gets an environment.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before the project is installed
        sys.exit(f"noxfile.py: Python 3.11 or newer is needed, this is {sys.version.split()[0]}.")
    python = OWN_ENVIRONMENT / "bin" / "python"
    if not (OWN_ENVIRONMENT / "ready").exists():
        print(f"noxfile.py: installing nox into {OWN_ENVIRONMENT.relative_to(PROJECT)}", flush=True)
        make = [sys.executable, "-m", "venv", "--clear", str(OWN_ENVIRONMENT)]
        if subprocess.run(make, stdout=subprocess.PIPE, check=False).returncode:
            sys.exit(
                "noxfile.py: Python could not make a virtual environment; "
                "on Debian and Ubuntu, install the package python3-venv, then try again."
            )
        pip = [str(python), "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), "nox"]
        if subprocess.run(pip, check=False).returncode:
            sys.exit("noxfile.py: pip could not install nox; check the network.")
        (OWN_ENVIRONMENT / "ready").touch()
    os.chdir(PROJECT)
    os.execv(python, [str(python), "-m", "nox", *sys.argv[1:]])


if find_spec("nox") is None:
    _bootstrap()

import nox  # noqa: E402 - only now it is sure to be there

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "typing", "tests", "fault_tolerance"]


def _install(session: nox.Session, *groups: str) -> None:
    """The project, editable, what the video system needs, and the tools of these groups, at the
    versions that CI tests.
    """
    session.install("-q", "-c", str(CONSTRAINTS), "-e", ".", *_tools("video", *groups))


def _tools(*groups: str) -> tuple[str, ...]:
    project = nox.project.load_toml(PROJECT / "pyproject.toml")
    return nox.project.dependency_groups(project, *groups)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    session.install("-q", "-c", str(CONSTRAINTS), *_tools("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def typing(session: nox.Session) -> None:
    """Mypy, strict; what is installed elsewhere also as macOS would see it."""
    _install(session, "typing", "tests", "bench")
    session.run("mypy")
    darwin = ("--platform", "darwin", "--cache-dir", ".mypy_cache/darwin")
    session.run("mypy", *darwin, "chaos", "workflows")


@nox.session
def tests(session: nox.Session) -> None:
    """What runs no whole scenario. Arguments go to pytest."""
    _install(session, "tests", "bench")
    # First of all, because no test's timeout is long enough where it has to be built from source.
    session.run("python", "-m", "chaos.process.programs")
    if session.posargs:
        session.run("pytest", "-m", "not chaos and not nightly", *session.posargs)
        return
    session.run("pytest", "tests/unit", "-n", "logical", "--seen-red")
    # Half of their time they wait for Temporal's timeouts; what shares a server is in one file.
    beside = ("-n", str(max(2, 3 * (os.cpu_count() or 1) // 2)), "--dist", "loadfile")
    session.run("pytest", "tests/integration", "-m", "not nightly", *beside)


@nox.session
def nightly(session: nox.Session) -> None:
    """The long ones: broken workers, sweeps, schedules, topologies, live mode, the tutorial, pages.

    Arguments go to pytest; `-m sample` chooses those that CI runs for each change.
    """
    _install(session, "tests", "bench")
    session.run("python", "-m", "chaos.process.programs")
    # Without these, what needs the topology postgres is skipped and says why.
    session.run("python", "-m", "chaos.process.programs", "--all", success_codes=[0, 2])
    session.run("pytest", "-m", "nightly", *session.posargs)


@nox.session
def fault_tolerance(session: nox.Session) -> None:
    """The scenarios on a real Temporal server with a fake API. Arguments go to pytest."""
    _install(session)
    session.run("pytest", "-m", "chaos", *session.posargs)


@nox.session
def explore(session: nox.Session) -> None:
    """A worker killed at each boundary of its workflows. Arguments go to the program."""
    _install(session)
    session.run("python", "-m", "chaos", "explore", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks: recovery, restart, concurrency, payments, a peer; ≈ 8 min. Takes arguments."""
    _install(session, "tests", "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site, in site/. A link or an anchor that leads nowhere is an error."""
    session.install("-q", "-c", str(CONSTRAINTS), *_tools("docs"))
    session.run("zensical", "build", "--strict", "--clean")


@nox.session
def release(session: nox.Session) -> None:
    """Build the wheel, check it, and try it on each Python that it is for. Publishes nothing."""
    session.install("-q", "build", "twine")
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(DIST))
    session.run("twine", "check", "--strict", *map(str, DIST.iterdir()))
    for python in PYTHONS:
        session.notify(f"try_wheel-{python}")


@nox.session(python=PYTHONS)
def try_wheel(session: nox.Session) -> None:
    """What a newcomer does with the wheel, in an environment that has nothing else."""
    wheels = [str(each) for each in DIST.glob("*.whl")]
    if not wheels:
        session.error("there is no wheel in dist/: run `nox -s release`, which builds it first.")
    # A wheel of the same version is new after each build, and this environment may be an old one.
    session.install("-q", "--force-reinstall", *wheels, "httpx")  # the example asks by httpx
    session.run("python", "-m", "pip", "check")
    project = Path(session.create_tmp()) / "orders"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(PROJECT / "examples" / "orders", project)
    session.chdir(project)
    session.run("temporal-chaos", "list", silent=True)
    session.run("pytest", "-m", "chaos", "-k", "worker_dies_charging")


if __name__ == "__main__":
    nox.main()
