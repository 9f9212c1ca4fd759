"""Credit a plan: lower its remaining amount."""

from dataclasses import dataclass
from typing import ClassVar

from portal.domain import allocation, clock
from portal.domain import events as payloads
from portal.domain.allocation import HOW, How
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid, Refused
from portal.models import Installment
from portal.services import events, ledger, row_facts, texts
from portal.services.idempotency import RequestKey
from portal.services.payments import preconditions
from portal.services.plans import agreement, notices, plan_status
from portal.services.plans.paid_at import last_paid, paid_at
from portal.services.results import Result
from portal.services.row_facts import PlanFacts
from portal.services.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class CreditGiven(Result):
    """The credited plan, and the amount of the credit in minor units."""

    version: ClassVar[int] = 6

    plan: PlanFacts
    amount: int


@unit_of_work
def credit(
    plan_id: int,
    *,
    actor: Actor,
    amount: int,
    how: How,
    reason: str,
    shown: int | None = None,
    request_key: RequestKey | None = None,
) -> CreditGiven:
    """Lower the remaining amount by `amount` minor units: from the last installment backwards, or spread over all.

    An installment that a credit lowers to zero is waived, or paid if a part of it was paid.
    `shown` is the remaining amount that the form showed, in minor units (None: not checked).

    Refuses: forbidden; own_plan; not_found; payment_in_flight; not_accepted; disputed; nothing_owed; too_much and
    amount_changed (facts: remaining); Invalid on amount, how and reason; idempotency_key_reused; still_running; busy.
    """
    if how not in HOW:
        raise Invalid(Fault("how", "bad_choice"))
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, actor, "credit")
    agreement.refuse_unsettled(plan)
    remaining = sum(row.left for row in rows)
    preconditions.unchanged(shown, remaining, plan.currency)
    if not remaining:
        raise Refused("nothing_owed", about="credit")
    preconditions.within(amount, remaining, plan.currency, about="credit", fact="remaining")
    by_id = {row.id: row for row in rows}
    now, before = clock.now(), last_paid(rows)
    for row_id, share in parts(rows, amount, how):
        row = by_id[row_id]
        row.credited += share
        row.credited_at = now
        row.paid_at = paid_at(row, before.get(row.id))
    reason_id = texts.keep(plan.id, "reason", reason)
    ledger.book_credit(plan, amount, by=actor.user_id, reason_id=reason_id)
    events.record(payloads.CreditGiven(amount=amount, how=how, reason_id=reason_id), plan_id=plan.id, by=actor.user_id)
    plan_status.recompute(plan, rows)
    notices.tell_change("plan_credited", plan, amount=amount, before=remaining, reason_id=reason_id)
    return CreditGiven(row_facts.changed_plan(plan.id), amount)


def parts(rows: list[Installment], amount: int, how: How) -> list[allocation.Part]:
    """The part of each installment in minor units; the form's preview and `credit` share it."""
    return (allocation.from_last if how == "last" else allocation.spread)(preconditions.open_parts(rows), amount)
