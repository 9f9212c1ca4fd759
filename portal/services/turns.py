"""Whose turn it is, where there may be more than one job has time for."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def from_anywhere(waiting: Sequence[T]) -> list[T]:
    """All of them in their order, from a random place on and around.

    Whoever begins with the oldest every time spends every job's time on the few oldest whose plans stay locked, and
    never comes to the rest. Nobody has to keep what failed last for this, and a job keeps nothing.
    """
    start = random.randrange(len(waiting)) if waiting else 0  # noqa: S311 hides nothing
    return [*waiting[start:], *waiting[:start]]
