"""A plugin of pytest that runs only the scenarios of certain names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import pytest

from chaos.plugin import given


class Selection:
    """Deselects all scenarios except the named ones; without names it deselects none. After the
    collection `known` has the names of all.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.known: set[str] = set()

    @property
    def is_unknown(self) -> bool:
        """Whether a name is not a scenario's."""
        return bool(self.known and set(self.names) - self.known)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Explain the error if a name comes after an option: pytest takes it for a file."""
        config.stash[given.SPELLING] = "--"
        for argument in config.args:
            if argument.isidentifier() and not (config.invocation_params.dir / argument).exists():
                raise pytest.UsageError(
                    f"there is no file or folder {argument}; if it is a scenario, put its name "
                    f"before all options, as in run {argument} -q."
                )

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Deselect the others, before pytest's own options deselect more."""
        names = {item: _name_of(item) for item in items if item.get_closest_marker("chaos")}
        self.known = set(names.values())
        if not self.names or not self.known:
            return
        for name in self.names:
            if name not in self.known:
                raise pytest.UsageError(no_such(name, sorted(self.known)))
        left_out = [item for item in items if names.get(item) not in self.names]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if names.get(item) in self.names]


def _name_of(item: pytest.Item) -> str:
    """The name of the scenario that is its parameter; without one, the test's own name."""
    spec = getattr(item, "callspec", None)
    scenario = spec.params.get("scenario") if spec else None
    return str(getattr(scenario, "name", item.name))


def no_such(name: str, known: Sequence[str]) -> str:
    """The sentence for a name that no scenario has."""
    near = difflib.get_close_matches(name, known, n=3)
    if near:
        return f"there is no scenario {name!r}; did you mean {' or '.join(near)}?"
    return f"there is no scenario {name!r}; there are {', '.join(known)}."
