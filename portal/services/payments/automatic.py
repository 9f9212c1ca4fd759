"""Automatic payment: collect a plan from a saved method on each due day, and with each overdue reminder after it.

A collection is a payment as in payments/payments.py: held in one commit, charged with no transaction open, booked in
another. The commit that holds it also writes the attempt (installment, rule), so each rule is tried once even across
crashes. The sweep settles an attempt whose outcome is unknown.
"""

import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import TextClause, and_, func, select, text
from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock
from portal.domain.events import AutomaticPaymentOff, AutomaticPaymentOn, AutomaticPaymentStopped
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Allocation, AutomaticAttempt, Installment, LedgerEntry, Merchant, PaymentMethod, Plan
from portal.services import emails, events
from portal.services.payments import outcomes, payments
from portal.services.payments.payments import Owed
from portal.services.plans import agreement
from portal.services.unit_of_work import end_reading, unit_of_work

log = structlog.get_logger(__name__)

BATCH: Final = 200
"""Plans that one query returns."""
BUDGET: Final = 30.0
"""Seconds after which the job leaves the remaining plans to the next run."""
MAX_STEP_SECONDS: Final = outcomes.MAX_STEP_SECONDS

_DUE_PLANS = text("""
    WITH zones AS MATERIALIZED (
        SELECT name, CAST(wall AS date) AS today, extract(hour FROM CAST(wall AS timestamp)) AS hour
        FROM jsonb_each_text(CAST(:walls AS jsonb)) AS zone (name, wall)
    )
    SELECT plan.id FROM plans AS plan
    JOIN merchants AS merchant ON merchant.id = plan.merchant_id AND merchant.deactivated_at IS NULL
    JOIN users AS customer ON customer.id = plan.customer_id AND customer.deactivated_at IS NULL
    JOIN zones AS here ON here.name = plan.time_zone
    WHERE plan.automatic_method_id IS NOT NULL AND plan.state = 'active' AND plan.counted AND NOT plan.disputed
      AND plan.next_due_on <= here.today
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
    """Collect this plan from a saved method from today on, or change the method.

    Rules of earlier days are not caught up. Refuses: not_found (no such plan of this customer); unknown_method (not
    saved by this customer, or removed); nothing_due (nothing is owed any more); not_accepted; disputed.
    """
    plan = _lock_plan(plan_id, customer_id)
    if plan.state != "active":
        raise Refused("nothing_due", about="automatic_payment")
    agreement.refuse_unsettled(plan)
    query = PaymentMethod.of_customer(customer_id).where(PaymentMethod.id == method_id)
    method = db.session.scalar(query.with_for_update(read=True))
    if method is None:
        raise Refused("unknown_method", about="automatic_payment")
    if plan.automatic_method_id == method.id:
        return
    plan.automatic_method_id = method.id
    plan.automatic_since = plan.automatic_since or clock.now()
    events.record(AutomaticPaymentOn(last4=method.last4), plan_id=plan.id, by=customer_id)


@unit_of_work
def turn_off(plan_id: int, *, customer_id: int) -> None:
    """End automatic payment of this plan. A payment in flight goes on. Refuses: not_found."""
    plan = _lock_plan(plan_id, customer_id)
    if plan.automatic_method_id is not None:
        plan.automatic_method_id = plan.automatic_since = None
        events.record(AutomaticPaymentOff(), plan_id=plan.id, by=customer_id)


def stop(method_id: int) -> None:
    """Inside the unit of work that removes a saved method: end automatic payment of its plans, and mail the customer.

    Locks the plans that are collected from it.
    """
    query = select(Plan).where(Plan.automatic_method_id == method_id).order_by(Plan.id)
    for plan in db.session.scalars(query.with_for_update(key_share=True).execution_options(populate_existing=True)):
        method = db.session.get_one(PaymentMethod, method_id)
        plan.automatic_method_id = plan.automatic_since = None
        events.record(AutomaticPaymentStopped(last4=method.last4), plan_id=plan.id, by=None)
        if plan.state == "active":
            emails.post(
                "automatic_stopped",
                to_user_id=plan.customer_id,
                merchant_id=plan.merchant_id,
                plan_id=plan.id,
                dedupe_key=f"automatic_stopped:{plan.id}:{method_id}",
                data={"last4": method.last4},
            )


def stop_after_reversal(plan: Plan) -> bool:
    """Inside the unit of work that records a reversal: end automatic payment until the customer turns it on again.

    Otherwise each reversal would be followed by another charge. Returns whether it was on.
    """
    method = db.session.get(PaymentMethod, plan.automatic_method_id) if plan.automatic_method_id is not None else None
    if method is None:
        return False
    plan.automatic_method_id = plan.automatic_since = None
    events.record(AutomaticPaymentStopped(last4=method.last4, cause="taken_back"), plan_id=plan.id, by=None)
    return True


def collect_automatic_payments() -> int:
    """Collect from every plan with a reached rule: the due day, or an overdue reminder's day; only the newest counts.

    Each payment is for everything due on the plan, from the merchant's sending hour on. Two runs at once are safe, and
    so is a kill at any point. A plan of a deactivated business or person is left out. A plan that fails is logged, and
    the others go on. Returns the number of payments started.
    """
    now, started, after = clock.now(), 0, 0
    stop = time.monotonic() + BUDGET
    parameters = {"walls": clock.wall_times_json(now), "batch": BATCH}
    while True:
        ids = list(db.session.scalars(_DUE_PLANS, parameters | {"after": after}))
        end_reading()
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


def due_query(now: datetime) -> TextClause:
    """The id of one plan, if `collect_automatic_payments` finds any."""
    return _DUE_PLANS.bindparams(walls=clock.wall_times_json(now), batch=1, after=0)


def newest_rule(row: Installment, days: list[int], today: date) -> int | None:
    """The latest rule that this installment has reached on the local date `today`: 0 (the due day) or one of `days`."""
    past = (today - row.due_date).days
    return max((day for day in {0, *days} if 0 <= day <= past), default=None)


def _collect(plan_id: int) -> bool:
    """Start the plan's payment, and return whether it started. A removed method ends automatic payment."""
    plan = db.session.get(Plan, plan_id, populate_existing=True)
    method = db.session.get(PaymentMethod, plan.automatic_method_id) if plan and plan.automatic_method_id else None
    if plan is None or method is None:
        return False
    customer_id, method_id, token = plan.customer_id, method.id, method.token
    end_reading()
    try:
        payments.collect(
            plan_id, customer_id=customer_id, method=token, choose=lambda plan, owed: _due(plan, owed, method_id)
        )
    except Refused as refused:
        if refused.code == "unknown_method":
            _stop_removed(method_id)
        elif refused.code == "nothing_due":
            _record_uncounted(plan_id)
        return False
    return True


def _due(plan: Plan, owed: Owed, method_id: int) -> Owed:
    """After the plan is locked: everything due, if a reached rule of it was not tried. Refuses: nothing_due."""
    if plan.automatic_method_id == method_id and plan.counted and not plan.disputed:
        reached = _reached_rules(plan, [row for row, _ in owed])
        new_ids = _record_attempts([(row.id, rule) for row, rule, _ in reached])
        if any(counts and row.id in new_ids for row, _, counts in reached):
            return [(row, row.left) for row, _, _ in reached]
    raise Refused("nothing_due", about="collection")


@unit_of_work
def _record_uncounted(plan_id: int) -> None:
    """Record the reached rules that never count. Otherwise each run would select the plan until its next rule."""
    plan = Plan.lock(plan_id)
    if plan is not None and plan.automatic_method_id is not None:
        reached = _reached_rules(plan, Installment.lock_of_plan(plan_id))
        _record_attempts([(row.id, rule) for row, rule, counts in reached if not counts])


def _reached_rules(plan: Plan, rows: Sequence[Installment]) -> list[tuple[Installment, int, bool]]:
    """The due installments, each with its latest reached rule, and whether that rule counts."""
    merchant = db.session.get_one(Merchant, plan.merchant_id)
    due = [row for row in rows if row.left > 0 and row.due_date <= plan.today]
    newest = [(row, newest_rule(row, merchant.reminder_days, plan.today)) for row in due]
    reopened = _reopened([row.id for row in due])
    return [
        (row, rule, _counts(row, rule, plan, merchant, reopened.get(row.id)))
        for row, rule in newest
        if rule is not None
    ]


def _reopened(installment_ids: Sequence[int]) -> dict[int, datetime]:
    """The instants at which the last bounce or void of a payment of these installments was recorded, by id."""
    entry_of = and_(LedgerEntry.payment_id == Allocation.payment_id, LedgerEntry.kind.in_(("reversal", "void")))
    query = (
        select(Allocation.installment_id, func.max(LedgerEntry.recorded_at))
        .join(LedgerEntry, entry_of)
        .where(Allocation.installment_id.in_(installment_ids), Allocation.returned > 0)
        .group_by(Allocation.installment_id)
    )
    return {row[0]: row[1] for row in db.session.execute(query)}


def _counts(row: Installment, rule: int, plan: Plan, merchant: Merchant, reopened_at: datetime | None) -> bool:
    """Whether the rule's day is on or after three days: that of turning on, that on which the merchant chose the rules,
    and that on which the installment was reopened.

    These days only move forward, so a rule that does not count now never will.
    """
    since = [plan.automatic_since, merchant.reminding_since if rule > 0 else None, reopened_at]
    day = row.due_date + timedelta(days=rule)
    return all(day >= clock.local_date(instant, plan.time_zone) for instant in since if instant is not None)


def _record_attempts(attempts: list[tuple[int, int]]) -> set[int]:
    """Insert attempts (installment id, rule). Returns the installment ids of the new ones."""
    if not attempts:
        return set()
    now = clock.now()
    rows = [{"installment_id": row_id, "rule": rule, "created_at": now} for row_id, rule in attempts]
    statement = insert(AutomaticAttempt).values(rows).on_conflict_do_nothing()
    return set(db.session.scalars(statement.returning(AutomaticAttempt.installment_id)))


@unit_of_work
def _stop_removed(method_id: int) -> None:
    stop(method_id)


def _lock_plan(plan_id: int, customer_id: int) -> Plan:
    plan = Plan.lock(plan_id)
    if plan is None or plan.customer_id != customer_id:
        raise NotFound()
    return plan
