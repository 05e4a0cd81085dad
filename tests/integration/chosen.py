"""Which cases of a test were chosen, for a fixture that runs all of them at once."""

from __future__ import annotations

from typing import TypeVar

import pytest

T = TypeVar("T")


def chosen_values(request: pytest.FixtureRequest, name: str, kind: type[T]) -> list[T]:
    """The values that the chosen tests of the fixture's module have for the parameter `name`."""
    module = request.node.nodeid
    specs = [
        getattr(item, "callspec", None)
        for item in request.session.items
        if item.nodeid.startswith(module)
    ]
    values = {id(value): value for spec in specs if spec and (value := spec.params.get(name))}
    return [value for value in values.values() if isinstance(value, kind)]
