"""An order in which what is needed comes before what needs it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, TypeVar

Item = TypeVar("Item")


def needed_first(items: list[Item], name: Callable[[Item], str], needs: Callable[[Item], Iterable[str]]) -> list[Item]:
    """Return the items so that each comes after those it names as needed; as they were otherwise, also in a circle."""
    left, ordered = list(items), []
    while left:
        there = {name(item) for item in left}
        ready = (item for item in left if not (set(needs(item)) & there) - {name(item)})
        ordered.append(next(ready, left[0]))
        left.remove(ordered[-1])
    return ordered
