"""Cancel a plan: void its unpaid rest, and keep or refund its payments. Final."""

from dataclasses import dataclass, replace
from typing import ClassVar

from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid, Refused
from portal.models import Dispute
from portal.services import row_facts, texts
from portal.services.agreements import voiding
from portal.services.idempotency import RequestKey
from portal.services.payments import preconditions, refunds
from portal.services.plans import notices
from portal.services.results import Result
from portal.services.row_facts import PlanFacts, RefundFacts
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class PlanCancelled(Result):
    """The cancelled plan and the refunds of the cancellation, oldest first. `refund` is their sum in minor units.

    The refunds are stored as they were held, and `cancel` returns them with their outcomes, which never change.
    """

    version: ClassVar[int] = 8

    plan: PlanFacts
    refund: int
    refunds: tuple[RefundFacts, ...]


def cancel(
    plan_id: int,
    *,
    actor: Actor,
    reason: str,
    refund: int = 0,
    shown: int | None = None,
    shown_refundable: int | None = None,
    request_key: RequestKey | None = None,
) -> PlanCancelled:
    """Void the remaining and the written-off amount of an active plan, and refund `refund` minor units.

    A refund returns the newest payment first.

    `shown` is the remaining amount that the form showed, `shown_refundable` its refundable amount (minor units; None:
    not checked). One commit cancels the plan and holds the refunds. A refund that the bank declines leaves the plan
    cancelled. When an outcome can't be recorded, the sweep settles the other refunds.

    Refuses: forbidden; own_plan; not_found; payment_in_flight; plan_cancelled; nothing_owed; amount_changed (facts:
    remaining, refundable); too_much (facts: refundable); refund_limit (facts: allowance); Invalid on refund and reason;
    idempotency_key_reused; still_running; busy.
    """
    cancelled = _cancel(plan_id, actor, reason, refund, shown, shown_refundable, request_key=request_key)
    if not cancelled.replayed:
        for held in cancelled.refunds:
            refunds.send(held.id)
    return _with_outcomes(cancelled)


def _with_outcomes(cancelled: PlanCancelled) -> PlanCancelled:
    """The result with the refunds' outcomes, and their effect on the plan's sums at the time of the cancellation."""
    if not cancelled.refunds:
        return cancelled
    now = refunds.outcomes_of([held.id for held in cancelled.refunds]).refunds
    pairs = zip(cancelled.refunds, now, strict=True)
    settled = [row for held, row in pairs if held.state == "in_flight" and row.state != "in_flight"]
    plan = replace(
        cancelled.plan,
        refunded=cancelled.plan.refunded + sum(row.amount for row in settled if row.state == "succeeded"),
        refunding=cancelled.plan.refunding - sum(row.amount for row in settled),
    )
    return replace(cancelled, plan=plan, refunds=now)


@unit_of_work
def _cancel(
    plan_id: int,
    actor: Actor,
    reason: str,
    refund: int,
    shown: int | None,
    shown_refundable: int | None,
    *,
    request_key: RequestKey | None,
) -> PlanCancelled:
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, actor, "cancel")
    if plan.cancelled_at is not None:
        raise Refused("plan_cancelled", about="cancellation")
    payments = preconditions.lock_payments(plan.id)
    remaining, limit = sum(row.left for row in rows), refunds.refundable(payments)
    facts = {"remaining": remaining, "refundable": limit}
    preconditions.unchanged(shown, remaining, plan.currency, **facts)
    preconditions.unchanged(shown_refundable, limit, plan.currency, **facts)
    if not remaining:
        raise Refused("nothing_owed", about="cancellation")
    if refund < 0:
        raise Invalid(Fault("refund", "bad_amount"))
    if refund:
        actor.require("refund")
        refunds.check_amount(refund, limit, plan.currency)
    dispute = Dispute.of_plan(plan.id) if plan.disputed else None
    reason_id = texts.keep(plan.id, "reason", reason)
    voiding.void(plan, rows, by=actor.user_id, reason_id=reason_id)
    if dispute is not None:
        notices.tell_of_dispute("dispute_ended", plan, dispute.id)
    else:
        notices.tell_change("plan_cancelled", plan, amount=remaining, before=remaining, reason_id=reason_id)
    refund_ids: tuple[int, ...] = ()
    if refund:
        refund_ids = refunds.hold(plan, payments, refund, actor=actor, reason_id=reason_id, rows=rows)
    return PlanCancelled(row_facts.changed_plan(plan.id), refund, row_facts.of_refunds(refund_ids))
