"""Reads the fields of a new plan, of a draft and of a preview."""

from datetime import date
from typing import Any, Final

from portal.api import parsing, schemas
from portal.api.callers import merchant
from portal.domain import clock, money, schedule
from portal.errors import Fault, Invalid
from portal.services.accounts import accounts
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan

UNREADABLE: Final = object()
"""Stands for a field that could not be read, and has a fault already."""


@parsing.further_faults(schemas.NewPlan)
@parsing.further_faults(schemas.PlanTerms)
def _other_faults(values: parsing.Values) -> list[Fault]:
    return read(values)[1]


def read(values: dict[str, Any]) -> tuple[NewPlan, list[Fault]]:
    """The new plan from the fields of a request, and the faults of the fields that were sent."""
    seller = merchant()
    today = clock.today(seller.time_zone)
    faults = []
    total: int | None = None
    if "total_amount" in values:
        try:
            total = money.parse(values["total_amount"], seller.home_currency)
        except money.BadAmount as bad:
            faults.append(Fault("total_amount", "bad_amount", about=bad.about, **bad.facts))
    deposit, rows, more = _schedule(values, seller.home_currency)
    faults += more
    count, first = values.get("num_installments"), values.get("start_date")
    new = NewPlan(
        customer_email=values.get("customer_email") or "",
        total=money.MAX_MINOR if total is None else total,
        num_installments=1 if count is None else count,
        start_date=first or (today if deposit is None else schedule.LAST_DATE),
        interval=values.get("interval") or "monthly",
        deposit=deposit,
        rows=rows,
        description=values.get("description", ""),
        external_id=values.get("external_id"),
        notes=values.get("metadata", {}),
    )
    named = {fault.field for fault in faults}
    found = plans.plan_faults(new, today, seller.home_currency, past_dates=True)
    faults += [fault for fault in found if fault.field not in named]
    if values.get("customer_email") is not None:
        faults = accounts.email_faults(new.customer_email, "customer_email") + faults
    return new, faults


def read_repeatable(values: dict[str, Any]) -> NewPlan:
    """The new plan from the fields of a request that may be the repeat of an earlier one.

    Refuses: Invalid. With an external_id, faults that the passing of a day makes are left to the service, which looks
    for what was made before.
    """
    new, faults = read(values)
    may_be_repeat = new.external_id is not None and all(fault.code in plans.OF_TODAY for fault in faults)
    if faults and not may_be_repeat:
        raise Invalid(*faults)
    return new


def _schedule(
    values: dict[str, Any], currency: str
) -> tuple[int | None, tuple[tuple[date, int], ...] | None, list[Fault]]:
    """The deposit in minor units, the own dates and amounts, and the faults of the fields that belong together."""
    faults: list[Fault] = []
    deposit, sent = None, values.get("installments")
    if values.get("deposit") is not None:
        deposit = _amount(values["deposit"], "deposit", currency, faults)
    own = ("num_installments", "start_date", "interval", "deposit")
    if sent is None:
        if "installments" in values:
            faults += [Fault(name, "required", about="api") for name in own[:2] if values.get(name, UNREADABLE) is None]
        return deposit, None, faults
    faults += [Fault(name, "not_with_installments") for name in own if values.get(name) is not None]
    rows = []
    for place, row in enumerate(sent):
        amount = _amount(row.amount, f"installments/{place}/amount", currency, faults)
        rows.append((row.due_date, amount or 0))
    return None, tuple(rows), faults


def _amount(text: str, field: str, currency: str, faults: list[Fault]) -> int | None:
    """The amount in minor units. A bad one is None, and one more of the faults; zero is left to the service."""
    try:
        return money.parse(text, currency)
    except money.BadAmount as bad:
        faults.append(Fault(field, "bad_amount", about=bad.about, **bad.facts))
        return None
