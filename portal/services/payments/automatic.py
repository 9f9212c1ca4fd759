"""Automatic payment: a customer lets the due day, and each overdue reminder after it, collect from a saved method.

A collection is a payment like any other (services/payments): held in one commit, charged with no transaction open,
booked in another. The commit that holds it also writes which rule of which installment it is for, so there is one
attempt for each, whatever crashes; what became of it the sweep finds out.
"""

import json
import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import AutomaticAttempt, Installment, Merchant, PaymentMethod, Plan
from portal.services import events
from portal.services.payments import automatic_stops, payments
from portal.services.payments.payments import Owed
from portal.services.unit_of_work import unit_of_work

log = structlog.get_logger(__name__)

BATCH: Final = 200
"""Plans that one look collects from, before it looks again."""
BUDGET: Final = 30.0
"""Seconds after which the rest is left to the next job."""
LONGEST_STEP: Final = payments.LONGEST_STEP

_WAITING = text("""
    WITH zones AS MATERIALIZED (
        SELECT name, CAST(wall AS date) AS today, extract(hour FROM CAST(wall AS timestamp)) AS hour
        FROM jsonb_each_text(CAST(:walls AS jsonb)) AS zone (name, wall)
    )
    SELECT plan.id FROM plans AS plan
    JOIN merchants AS merchant ON merchant.user_id = plan.merchant_id
    JOIN zones AS here ON here.name = plan.time_zone
    WHERE plan.automatic_method_id IS NOT NULL AND plan.state = 'active' AND plan.next_due_on <= here.today
      AND here.hour >= merchant.sending_hour AND plan.id > :after
      AND EXISTS (
        SELECT FROM installments AS installment
        CROSS JOIN LATERAL (
            SELECT max(day) AS rule FROM unnest(array_append(merchant.reminder_days, CAST(0 AS smallint))) AS day
            WHERE day >= 0 AND installment.due_date + day <= here.today
        ) AS passed
        WHERE installment.plan_id = plan.id AND installment.remaining > 0 AND rule IS NOT NULL
          AND installment.due_date + rule >= CAST(plan.automatic_since AS date) - 1
          AND NOT EXISTS (SELECT FROM automatic_attempts AS attempt
                          WHERE attempt.installment_id = installment.id AND attempt.rule >= passed.rule))
    ORDER BY plan.id LIMIT :batch
""")


@unit_of_work
def turn_on(plan_id: int, *, customer_id: int, method_id: int) -> None:
    """Collect this plan from a saved method, from today on; or from another method than so far.

    Rules whose day has gone by are not made up for. Refuses: not_found (the plan, or not its customer);
    unknown_method (not saved by this customer, or removed); nothing_due (nothing is owed any more).
    """
    plan = _mine(plan_id, customer_id)
    if plan.state != "active":
        raise Refused("nothing_due", "Nothing is owed on this plan any more.")
    found = PaymentMethod.of_customer(customer_id).where(PaymentMethod.id == method_id)
    method = db.session.scalar(found.with_for_update(read=True))
    if method is None:
        raise Refused("unknown_method", "Choose one of your saved payment methods.")
    if plan.automatic_method_id == method.id:
        return
    plan.automatic_method_id = method.id
    plan.automatic_since = plan.automatic_since or clock.now()
    events.record("automatic_payment.on", plan.id, by=customer_id, last4=method.last4)


@unit_of_work
def turn_off(plan_id: int, *, customer_id: int) -> None:
    """Collect nothing of this plan by itself any more; a payment under way goes on. Refuses: not_found."""
    plan = _mine(plan_id, customer_id)
    if plan.automatic_method_id is not None:
        plan.automatic_method_id = plan.automatic_since = None
        events.record("automatic_payment.off", plan.id, by=customer_id)


def collect_automatic_payments() -> int:
    """Collect from every plan on which a rule has come: the due day, or an overdue reminder's, the newest alone.

    What is collected is everything due on the plan, from the merchant's sending hour on. May run twice at once and be
    killed anywhere. Returns how many payments were started; a plan that fails is logged and keeps no other waiting.
    """
    now, started, after = clock.now(), 0, 0
    stop = time.monotonic() + BUDGET
    walls = json.dumps({name: wall.isoformat() for name, wall in clock.wall_times(now).items()})
    parameters = {"walls": walls, "batch": BATCH}
    while True:
        ids = list(db.session.scalars(_WAITING, parameters | {"after": after}))
        db.session.rollback()
        for plan_id in ids:
            if time.monotonic() > stop:
                return started
            try:
                started += _collect(plan_id)
            except Exception:
                log.exception("automatic_payment.not_collected", plan_id=plan_id)
        if len(ids) < BATCH:
            return started
        after = ids[-1]


def newest_rule(row: Installment, days: list[int], today: date) -> int | None:
    """The last of the due day and the overdue reminders' `days` that has come for this installment by `today`."""
    past = (today - row.due_date).days
    return max((day for day in {0, *days} if 0 <= day <= past), default=None)


def _collect(plan_id: int) -> bool:
    """Whether a payment was started. A payment in flight is waited for; a method that is gone is not used again."""
    plan = db.session.get(Plan, plan_id, populate_existing=True)
    method = db.session.get(PaymentMethod, plan.automatic_method_id) if plan and plan.automatic_method_id else None
    if plan is None or method is None:
        return False
    customer_id, method_id, token = plan.customer_id, method.id, method.token
    db.session.rollback()
    try:
        payments.collect(
            plan_id, customer_id=customer_id, method=token, choose=lambda plan, owed: _due(plan, owed, method_id)
        )
    except Refused as refused:
        if refused.code == "unknown_method":
            _stop(method_id)
        elif refused.code == "nothing_due":
            _pass_over(plan_id)
        elif refused.status >= 500:
            raise
        return False
    return True


def _due(plan: Plan, owed: Owed, method_id: int) -> Owed:
    """Behind the plan's lock: everything due, if a rule of it has come that was not tried. Refuses nothing_due."""
    if plan.automatic_method_id == method_id:
        come = _come(plan, [row for row, _ in owed])
        fresh = _note([(row.id, rule) for row, rule, _ in come])
        if any(counts and row.id in fresh for row, _, counts in come):
            return [(row, row.left) for row, _, _ in come]
    raise Refused("nothing_due", "Nothing is to be collected now.")


@unit_of_work
def _pass_over(plan_id: int) -> None:
    """Note what has come and never counts, or the plan would be looked at every minute until its next rule comes."""
    plan = Plan.lock(plan_id)
    if plan is not None and plan.automatic_method_id is not None:
        come = _come(plan, Installment.lock_of_plan(plan_id))
        _note([(row.id, rule) for row, rule, counts in come if not counts])


def _come(plan: Plan, rows: Sequence[Installment]) -> list[tuple[Installment, int, bool]]:
    """Everything due, each with the newest rule that has come, and whether that counts."""
    merchant = db.session.get_one(Merchant, plan.merchant_id)
    due = [row for row in rows if row.left > 0 and row.due_date <= plan.today]
    newest = [(row, newest_rule(row, merchant.reminder_days, plan.today)) for row in due]
    return [(row, rule, _counts(row, rule, plan, merchant)) for row, rule in newest if rule is not None]


def _counts(row: Installment, rule: int, plan: Plan, merchant: Merchant) -> bool:
    """Whether the rule's day is none from before it was turned on, or before the merchant chose those days.

    Both only ever move forward, so what does not count now never will.
    """
    since = [plan.automatic_since, merchant.reminding_since if rule > 0 else None]
    day = row.due_date + timedelta(days=rule)
    return all(day >= clock.local_date(instant, plan.time_zone) for instant in since if instant is not None)


def _note(attempts: list[tuple[int, int]]) -> set[int]:
    """Write down (installment id, rule). Returns the installments of those that were not there before."""
    if not attempts:
        return set()
    now = clock.now()
    rows = [{"installment_id": row_id, "rule": rule, "created_at": now} for row_id, rule in attempts]
    made = insert(AutomaticAttempt).values(rows).on_conflict_do_nothing()
    return set(db.session.scalars(made.returning(AutomaticAttempt.installment_id)))


@unit_of_work
def _stop(method_id: int) -> None:
    automatic_stops.stop(method_id)


def _mine(plan_id: int, customer_id: int) -> Plan:
    plan = Plan.lock(plan_id)
    if plan is None or plan.customer_id != customer_id:
        raise NotFound()
    return plan
