"""Filters of the list of customers. The page and the file pass them whole."""

from dataclasses import dataclass
from typing import Final, Literal

from portal.reports.ranges import ANY_TIME, Between

Show = Literal["all", "owing", "overdue"]


@dataclass(frozen=True, slots=True)
class CustomerFilters:
    """`show` selects customers with an open balance or an overdue one. `search` is looked for in name,
    phone, email and username (reports/search.py).

    `email` is a whole address. `created` is about the first plan of the person with the business. An empty `search`
    does not narrow the list; an empty `email` is nobody's.
    """

    show: Show = "all"
    search: str | None = None
    email: str | None = None
    created: Between = ANY_TIME


ALL_CUSTOMERS: Final = CustomerFilters()
