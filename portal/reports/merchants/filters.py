"""Filters of the list of customers. The page and the file pass them whole."""

from dataclasses import dataclass
from typing import Final, Literal

Show = Literal["all", "owing", "overdue"]


@dataclass(frozen=True, slots=True)
class CustomerFilters:
    """`show` selects customers with an open balance or an overdue one. `search` is looked for in name,
    phone, email and username (reports/search.py).

    `email` is a whole address. An empty `search` or `email` does not narrow the list.
    """

    show: Show = "all"
    search: str | None = None
    email: str | None = None


ALL_CUSTOMERS: Final = CustomerFilters()
