"""The order of a list in its address, and the links of the headings that change it."""

from collections.abc import Mapping
from typing import Final, Generic, Literal, TypeVar

from flask import url_for

from portal.web.lists.filters import ListQuery

T = TypeVar("T")

RISING_FIRST: Final = frozenset({"due", "name", "customer"})
"""Columns that are sorted upwards by the first click: soonest due date, first name. The others begin with the most."""


class Sorting(Generic[T]):
    """The order that the parameter `sort` names: "due" rises, "-due" falls. Without it, the list's `default`."""

    def __init__(self, query: ListQuery, endpoint: str, orders: Mapping[str, T], default: str) -> None:
        self.name = query.choice("sort", orders) or default
        self._query, self._endpoint, self._orders = query, endpoint, orders

    @property
    def order(self) -> T:
        """The order that the rows are read in."""
        return self._orders[self.name]

    def direction(self, column: str) -> Literal["ascending", "descending"] | None:
        """For aria-sort: the direction in which the list is sorted by this column, None if it is not."""
        return {column: "ascending", f"-{column}": "descending"}.get(self.name)  # type: ignore[return-value]

    def href(self, column: str) -> str:
        """The address of the first page of the list, sorted by this column, or by it the other way round."""
        first, second = (column, f"-{column}") if column in RISING_FIRST else (f"-{column}", column)
        name = second if self.name == first else first
        return url_for(self._endpoint, **dict(self._query.parameters, sort=name))
