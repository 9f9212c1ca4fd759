"""The orders that lists are offered in, by the names that addresses have for them: "due" rises, "-due" falls.

Each is read from an index of the business's rows (tests/reports/test_explain.py). Amounts are sorted within their
currency, because minor units of different currencies don't compare.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy.orm import QueryableAttribute

from portal.models import Customer, CustomerBalance, Installment, LedgerEntry, Payment, Plan, Refund
from portal.reports.paging import Order

Orders = Mapping[str, Order]


def _both(name: str, *keys: QueryableAttribute[Any], has_nulls: bool = False, lead: int = 0) -> dict[str, Order]:
    """The order by these keys in both directions."""
    rising = Order(keys, has_nulls=has_nulls, lead=lead)
    return {name: rising, f"-{name}": replace(rising, descending=True)}


CUSTOMERS: Final[Orders] = {
    **_both("account", Customer.user_id),
    **_both("plan", Customer.last_plan_id),
    **_both("name", Customer.sort_name, Customer.user_id, has_nulls=True),
    **_both("owed", CustomerBalance.owed, CustomerBalance.customer_id),
}
"""By the age of the account, by the newest plan, by name, and by what they owe.

Erased people have no name: they come last.
"""
OWN_PLANS: Final[Orders] = {
    **_both("made", Plan.created_at, Plan.id),
    **_both("due", Plan.next_due_on, Plan.id, has_nulls=True),
    **_both("total", Plan.currency, Plan.total, Plan.id),
}
"""Closed plans have no next due date: they come last in the orders by it."""
PLANS: Final[Orders] = {
    **OWN_PLANS,
    **_both("customer", Customer.sort_name, Customer.user_id, Plan.id, has_nulls=True, lead=2),
}
"""Of a business: also by the customer's name in the list of customers."""
INSTALLMENTS: Final[Orders] = {
    **_both("due", Installment.due_date, Installment.id),
    **_both("amount", Installment.currency, Installment.amount, Installment.id),
}
PAYMENTS: Final[Orders] = {
    **_both("date", Payment.dated_at, Payment.id),
    **_both("amount", Payment.currency, Payment.amount, Payment.id),
}
REFUNDS: Final[Orders] = {
    **_both("date", Refund.created_at, Refund.id),
    **_both("amount", Refund.currency, Refund.amount, Refund.id),
}
MOVEMENTS: Final[Orders] = {
    **_both("date", LedgerEntry.booked_on, LedgerEntry.id),
    **_both("amount", LedgerEntry.collected_currency, LedgerEntry.collected, LedgerEntry.id),
}
"""Of money in and out: what left comes before what came in when amounts rise."""
