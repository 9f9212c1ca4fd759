"""How old is what is owed: the open amounts of a merchant by how many days past due they are."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Date, Integer, case, cast, func, literal, select

from portal import clock
from portal.extensions import db
from portal.models import Installment, Merchant, Plan


@dataclass(frozen=True, slots=True)
class Ageing:
    """Minor units of one currency. The five buckets add up to `outstanding`; days count from the due date."""

    currency: str
    outstanding: int = 0
    not_due: int = 0
    days_1_30: int = 0
    days_31_60: int = 0
    days_61_90: int = 0
    days_over_90: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The home currency first, then any others; never added across."""

    home: Ageing
    others: list[Ageing]


def ageing(merchant: Merchant) -> Report:
    """What remains of the merchant's open installments, by days past due on each plan's own local date."""
    past = _days_past_due(merchant.user_id)
    if past is None:
        return Report(Ageing(merchant.home_currency), [])
    buckets = (past <= 0, past.between(1, 30), past.between(31, 60), past.between(61, 90), past > 90)
    owed = func.sum(Installment.remaining)
    rows = db.session.execute(
        select(Installment.currency, owed, *(func.coalesce(owed.filter(bucket), 0) for bucket in buckets))
        .join(Plan, Plan.id == Installment.plan_id)
        .where(Installment.merchant_id == merchant.user_id, Installment.remaining > 0)
        .group_by(Installment.currency)
        .order_by(Installment.currency)
    ).all()
    found = {row[0]: Ageing(row[0], *(int(amount) for amount in row[1:])) for row in rows}
    home = found.pop(merchant.home_currency, Ageing(merchant.home_currency))
    return Report(home, list(found.values()))


def _days_past_due(merchant_id: int) -> ColumnElement[int] | None:
    """Days from the due date to today, in the calendar of each plan. None when nothing is owed."""
    zones = db.session.scalars(
        select(Plan.time_zone).where(Plan.merchant_id == merchant_id, Plan.state == "active").distinct()
    ).all()
    if not zones:
        return None
    today = case(
        *((Plan.time_zone == zone, cast(literal(clock.today(zone)), Date)) for zone in zones),
        else_=cast(literal(clock.today("UTC")), Date),
    )
    return cast(today - Installment.due_date, Integer)
