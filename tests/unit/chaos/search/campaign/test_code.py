"""The version of a project: the same for the same code, another for any other."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.experiment.catalogue import CatalogueError
from chaos.search.campaign import code
from chaos.search.campaign.code import CodeError, code_of

PYPROJECT = '[tool.chaos]\ntargets = ["{module}:TARGET"]\n'
Git = Callable[..., str]
_ROLES = ("AUTHOR", "COMMITTER")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "shop").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(module="shop.target"))
    (folder / "shop" / "worker.py").write_text("print('one')\n")
    return folder


@pytest.fixture
def git(project: Path) -> Git:
    """A checkout with one commit."""

    def run(*arguments: str, folder: Path = project) -> str:
        who = {f"GIT_{role}_{what}": "a@b" for role in _ROLES for what in ("NAME", "EMAIL")}
        command = ("git", "-c", "commit.gpgsign=false", *arguments)
        environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(
            command, cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    run("init", "-q")
    run("add", "-A")
    run("commit", "-qm", "one")
    return run


def test_a_checkout_has_that_of_its_commit(project: Path, git: Git) -> None:
    assert code_of(project) == git("rev-parse", "HEAD")[:12]


def test_what_is_uncommitted_changes_it_and_what_is_taken_back_changes_it_back(
    project: Path, git: Git
) -> None:
    clean = code_of(project)
    (project / "shop" / "worker.py").write_text("print('two')\n")
    changed = code_of(project)
    git("add", "-A")
    staged = code_of(project)
    git("reset", "-q", "--hard")

    assert changed.startswith(f"{clean}-")
    assert staged == changed
    assert code_of(project) == clean


def test_a_new_file_counts_unless_it_is_ignored(project: Path, git: Git) -> None:
    clean = code_of(project)
    (project / "shop" / "more.py").write_text("")
    assert (new := code_of(project)) != clean
    (project / "shop" / "more.py").chmod(0o755)
    assert code_of(project) not in {new, clean}

    (project / ".gitignore").write_text("more.py\n")
    git("add", ".gitignore")
    git("commit", "-qm", "ignored")
    assert code_of(project) == git("rev-parse", "HEAD")[:12]


@pytest.mark.parametrize("change", ["content", "mode", "gone", "link"])
def test_any_difference_is_another_version(project: Path, git: Git, change: str) -> None:
    del git
    clean, file = code_of(project), project / "shop" / "worker.py"
    if change == "content":
        file.write_text("print('eno')\n")
    elif change == "mode":
        file.chmod(0o755)
    else:
        file.unlink()
        if change == "link":
            file.symlink_to("elsewhere.py")
    assert code_of(project) != clean


def test_two_machines_with_the_same_changes_have_the_same(
    project: Path, git: Git, tmp_path: Path
) -> None:
    git("clone", "-q", str(project), str(tmp_path / "other"))
    for folder in (project, tmp_path / "other"):
        (folder / "shop" / "new.py").write_text("same\n")
        os.utime(folder / "shop" / "new.py", (len(str(folder)), 0))

    assert code_of(project) == code_of(tmp_path / "other")


def test_what_runs_leave_there_does_not_count(project: Path, git: Git) -> None:
    """Else each case of a campaign would be of another version."""
    del git
    clean = code_of(project)
    for name in (
        "reports/explore-1/points.jsonl",
        "shop/__pycache__/worker.pyc",
        ".pytest_cache/README.md",
        "kept/campaign-1/campaign.json",
        "kept/campaign-1/cases/a/verdict.json",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("x")

    assert code_of(project) == clean


def test_code_beside_a_file_of_that_name_counts(project: Path, git: Git) -> None:
    del git
    clean = code_of(project)
    (project / "shop" / "campaign.json").write_text("x")
    assert code_of(project) != clean


def test_projects_of_one_checkout_have_names_of_their_own(project: Path, git: Git) -> None:
    (project / "second").mkdir()
    (project / "second" / "pyproject.toml").write_text(PYPROJECT.format(module="x"))
    git("add", "-A")
    git("commit", "-qm", "two")
    assert code_of(project / "second") == f"second-{code_of(project)}"


def test_a_checkout_in_the_checkout_counts_by_its_version(project: Path, git: Git) -> None:
    inner = project / "inner"
    inner.mkdir()
    (inner / "a.py").write_text("one")
    git("init", "-q", folder=inner)
    git("add", "-A", folder=inner)
    git("commit", "-qm", "inner", folder=inner)
    first = code_of(project)
    (inner / "a.py").write_text("two")
    assert code_of(project) != first


def test_a_hook_of_another_checkout_does_not_lead_it_astray(
    project: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = code_of(project)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert code_of(project) == clean
    del git


def test_nothing_is_written_to_the_checkout(project: Path, git: Git) -> None:
    git("status")
    os.utime(project / "shop" / "worker.py", (1, 1))  # git would note this in its index
    index = (project / ".git" / "index").read_bytes()
    code_of(project)
    assert (project / ".git" / "index").read_bytes() == index


def test_without_git_it_is_that_of_the_files(project: Path, tmp_path: Path) -> None:
    found = code_of(project)
    assert found.startswith("files-")

    (project / "shop" / "__pycache__").mkdir()
    (project / "shop" / "__pycache__" / "worker.pyc").write_text("")
    (project / "kept").mkdir()
    (project / "kept" / ".gitignore").write_text("*\n")
    (project / "kept" / "more").write_text("")
    assert code_of(project) == found

    (project / "shop" / "worker.py").write_text("print('two')\n")
    changed = code_of(project)
    (project / "shop" / "worker.py").rename(project / "shop" / "driver.py")
    assert len({found, changed, code_of(project)}) == 3
    assert tmp_path.exists()


def test_a_file_that_cannot_be_read_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, _: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(code, "_digest", refuse)
    with pytest.raises(CodeError, match=r"cannot be told \(Permission denied: .*make its files"):
        code_of(project)


def test_a_project_that_cannot_be_loaded_is_said(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.chaos]\ntargets = 1\n")
    with pytest.raises(CatalogueError, match="must be a list"):
        code_of(project)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Installs a wheel with the target, whose module has that content."""
    site = tmp_path / "site"
    info = site / "kiosk_shop-1.2.dist-info"
    (site / "kiosk").mkdir(parents=True)
    info.mkdir()
    monkeypatch.syspath_prepend(str(site))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kiosk-shop\nVersion: 1.2\n")
    (info / "top_level.txt").write_text("kiosk\n")

    def install(content: str) -> None:
        (site / "kiosk" / "__init__.py").write_text(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode()
        (info / "RECORD").write_text(
            f"kiosk/__init__.py,sha256={digest.rstrip('=')},{len(content)}\n"
        )

    yield install
    code._distribution_of.cache_clear()
    sys.modules.pop("kiosk", None)


def test_where_the_targets_are_of_a_wheel_it_is_that_of_the_wheel(
    project: Path, wheel: Callable[[str], None]
) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT.format(module="kiosk.target"))
    wheel("one")
    found = code_of(project)
    (project / "shop" / "worker.py").write_text("of no target")
    same = code_of(project)
    wheel("two")

    assert found.startswith("kiosk-shop-1.2-")
    assert same == found
    assert code_of(project) != found
