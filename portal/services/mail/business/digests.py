"""The digest of a business for an owner or manager: what happened since the last one and is still true."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import BigInteger, ColumnElement, Select, and_, cast, func, or_, select
from sqlalchemy.orm import joinedload

from portal.domain import clock, money
from portal.extensions import db
from portal.models import Allocation, Email, Event, Installment, Payment, Plan, PublicEvent, Refund
from portal.models.notices import DIGESTED, Digested
from portal.services.mail.facts import Facts, NoLongerTrue, link, mail_kind
from portal.services.notices import digests, settings
from portal.services.notices.digests import LATE_FOR, MAX_LATE_DAYS, Window
from portal.wording import dates, decline_reasons
from portal.wording.lazy import lazy_pgettext
from portal.wording.lists import listed

SHOWN: Final = 10
"""Rows that the mail lists of each kind. Counts and sums are of all of them."""


@dataclass(frozen=True, slots=True)
class Section:
    """The things of one kind: a heading with their number, their sum (None without amounts), and the first SHOWN of
    them as (who, what, amount or None, URL). `customer_ids` are the people that the rows name.
    """

    heading: str
    total: str | None
    rows: list[Facts]
    more: int
    customer_ids: list[int] = field(default_factory=list)


@mail_kind("digest", lazy_pgettext("kind of mail", "News of a business"))
def digest(row: Email) -> Facts:
    """The news of the business's plans, in sections. A section without rows is left out."""
    window = digests.take(row.id)
    if window is None:
        raise NoLongerTrue("not_wanted")
    sections = [found for kind in DIGESTED if kind in window.on and (found := _SECTIONS[kind](window)) is not None]
    if not sections:
        raise NoLongerTrue("nothing_to_tell")
    digests.keep_names(row.id, sorted({person for section in sections for person in section.customer_ids}))
    since = clock.local_date(window.since, window.merchant.time_zone)
    return {
        "business": window.merchant.business_name,
        "title": listed([section.heading for section in sections]),
        "since": dates.long_day(since),
        "sections": sections,
        "url": link("/dashboard"),
    } | reader_facts(window.user_id, window.merchant.id, window.merchant.business_name, "digest")


def reader_facts(user_id: int, merchant_id: int, business: str, what: settings.What) -> Facts:
    """The facts of the foot of every notice: the business, and the links to turn the mail off and to the settings."""
    off_url = link(f"/notices/off/{settings.token_of(user_id, merchant_id, what)}")
    return {
        "notice_of": business,
        "settings_url": off_url,
        "unsubscribe_url": off_url,
        "choose_url": link("/settings/notices"),
    }


def _paid(window: Window) -> Section | None:
    """Payments that were received and not taken back."""
    events = _events(window, "payment.succeeded").with_only_columns(Event.payment_id)
    query = select(Payment).where(Payment.id.in_(events), Payment.state == "succeeded", _of_others(Payment, window))
    return _of_amounts(
        query, Payment, lambda num: ngettext("%(num)s payment received", "%(num)s payments received", num)
    )


def _completed(window: Window) -> Section | None:
    """Plans that are paid in full."""
    events = _events(window, "plan.completed").with_only_columns(Event.plan_id)
    query = select(Plan).where(
        Plan.id.in_(events), Plan.state == "completed", Plan.closed_by == "paid", _of_others(Plan, window)
    )
    return _of_plans(query, lambda num: ngettext("%(num)s plan paid in full", "%(num)s plans paid in full", num))


def _refunded(window: Window) -> Section | None:
    """Refunds that went out."""
    refund_id = cast(Event.data["refund_id"].astext, BigInteger)
    events = _events(window, "refund.succeeded").with_only_columns(refund_id)
    query = select(Refund).where(Refund.id.in_(events), Refund.state == "succeeded", _of_others(Refund, window))
    return _of_amounts(query, Refund, lambda num: ngettext("%(num)s refund", "%(num)s refunds", num))


def _declined(window: Window) -> Section | None:
    """Declined payments of what can still be paid: the last one of each plan."""
    query = _open_declines(window, automatic=False)
    return _of_amounts(
        query,
        Payment,
        lambda num: ngettext("%(num)s payment declined", "%(num)s payments declined", num),
        note=lambda payment: decline_reasons.of_payment(payment.decline_code, mine=False),
    )


def _automatic(window: Window) -> Section | None:
    """Automatic payments that failed, and plans whose automatic payment stopped."""
    failed = _open_declines(window, automatic=True).with_only_columns(Payment.plan_id)
    stopped = _events(window, "automatic_payment.changed").where(Event.kind == "automatic_payment.stopped")
    off = and_(Plan.id.in_(stopped.with_only_columns(Event.plan_id)), Plan.automatic_method_id.is_(None))
    query = select(Plan).where(Plan.state == "active", or_(Plan.id.in_(failed), off), _of_others(Plan, window))
    return _of_plans(
        query,
        lambda num: ngettext(
            "%(num)s automatic payment failed or stopped", "%(num)s automatic payments failed or stopped", num
        ),
        note=lambda plan: _("Automatic payment stopped.") if plan.automatic_method_id is None else _("It failed."),
    )


def _late(window: Window) -> Section | None:
    """Installments that are late for a week, since the last digest."""
    if window.merchant.deactivated_at is not None:
        return None
    zone = window.merchant.time_zone
    first = clock.local_date(window.since - LATE_FOR, zone) - timedelta(days=MAX_LATE_DAYS)
    query = select(Installment).where(
        Installment.merchant_id == window.merchant.id,
        Installment.is_late(clock.now()),
        Installment.due_date.between(first, clock.local_date(window.until - LATE_FOR, zone) + timedelta(days=1)),
        Installment.late_at > window.since - LATE_FOR,
        Installment.late_at <= window.until - LATE_FOR,
        _of_others(Installment, window),
    )
    return _of_amounts(
        query,
        Installment,
        lambda num: ngettext("%(num)s payment late for a week", "%(num)s payments late for a week", num),
        amount=Installment.remaining,
        note=lambda row: _("Was due on %(day)s.", day=dates.long_day(row.due_date)),
    )


_SECTIONS: Final[dict[Digested, Any]] = {
    "paid": _paid,
    "completed": _completed,
    "refunded": _refunded,
    "declined": _declined,
    "automatic": _automatic,
    "late": _late,
}


def _events(window: Window, type_: str) -> Select[Any]:
    """The window's events of this public type."""
    return (
        select(Event.id)
        .join(PublicEvent, PublicEvent.event_id == Event.id)
        .where(
            PublicEvent.merchant_id == window.merchant.id,
            PublicEvent.type == type_,
            PublicEvent.number > window.after,
            PublicEvent.number <= window.until_number,
        )
    )


def _of_others(table: Any, window: Window) -> ColumnElement[bool]:
    """Not the reader's own plan: a manager may owe at the business."""
    return table.customer_id != window.user_id  # type: ignore[no-any-return]


def _open_declines(window: Window, *, automatic: bool) -> Select[Any]:
    """The last declined payment of each plan on which something of that payment can still be paid."""
    events = _events(window, "payment.declined").with_only_columns(Event.payment_id)
    payable = or_(Installment.remaining > 0, and_(Installment.written_off > 0, Installment.cancelled_at.is_(None)))
    open_part = (
        select(Allocation.id)
        .join(Installment, Installment.id == Allocation.installment_id)
        .where(Allocation.payment_id == Payment.id, payable)
    )
    declined = (
        select(func.max(Payment.id))
        .where(
            Payment.id.in_(events), Payment.state == "declined", Payment.automatic.is_(automatic), open_part.exists(),
            _of_others(Payment, window),
        )
        .group_by(Payment.plan_id)
    )  # fmt: skip
    return select(Payment).where(Payment.id.in_(declined))


def _of_amounts(
    query: Select[Any], table: Any, heading: Any, *, amount: Any = None, note: Any = None
) -> Section | None:
    """A section of rows with an amount and a plan each."""
    amount = table.amount if amount is None else amount
    sums = query.with_only_columns(table.currency, func.count(), func.sum(amount)).group_by(table.currency)
    totals = db.session.execute(sums.order_by(table.currency)).all()
    count = sum(total[1] for total in totals)
    if not count:
        return None
    rows = db.session.scalars(query.order_by(table.id.desc()).limit(SHOWN)).all()
    plans = _plans([row.plan_id for row in rows])
    shown = [
        _row(
            plans[row.plan_id],
            money.show(getattr(row, amount.key), row.currency),
            str(note(row)) if note is not None else None,
        )
        for row in rows
    ]
    total = listed(money.show(int(total), currency) for currency, _count, total in totals)
    people = [plans[row.plan_id].customer_id for row in rows]
    return Section(str(heading(count)), total, shown, count - len(rows), people)


def _of_plans(query: Select[Any], heading: Any, *, note: Any = None) -> Section | None:
    """A section of plans, without a sum."""
    count = db.session.scalar(query.with_only_columns(func.count())) or 0
    if not count:
        return None
    rows = db.session.scalars(query.order_by(Plan.id.desc()).limit(SHOWN)).all()
    plans = _plans([row.id for row in rows])
    shown = [
        _row(
            plans[row.id],
            money.show(row.total, row.currency),
            str(note(plans[row.id])) if note is not None else None,
        )
        for row in rows
    ]
    return Section(str(heading(count)), None, shown, count - len(rows), [row.customer_id for row in rows])


def _plans(plan_ids: Sequence[int]) -> dict[int, Plan]:
    query = select(Plan).where(Plan.id.in_(plan_ids)).options(joinedload(Plan.customer))
    return {plan.id: plan for plan in db.session.scalars(query.execution_options(populate_existing=True))}


def _row(plan: Plan, amount: str, note: str | None) -> Facts:
    return {
        "who": plan.pair_name or plan.customer.display_name,
        "what": business_purchase(plan),
        "amount": amount,
        "note": note,
        "url": link(f"/plans/{plan.id}"),
    }


def business_purchase(plan: Plan) -> str:
    """The plan's description for a member of its business, or its number in its place."""
    return plan.description or str(_("Plan %(number)s", number=plan.id))
