"""Credit a plan: lower what is still owed."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from portal.domain import allocation
from portal.errors import Fault, Invalid, Refused
from portal.models import Installment
from portal.services import events, idempotency, ledger
from portal.services.idempotency import Replay, RequestKey
from portal.services.payments import preconditions
from portal.services.plans import plan_status
from portal.services.unit_of_work import unit_of_work

How = Literal["last", "spread"]
HOW: Final[tuple[How, ...]] = get_args(How)


@dataclass(frozen=True, slots=True)
class Credited:
    """The plan that was changed. `replay` is set when the same request had been carried out before."""

    plan_id: int
    replay: Replay | None = None


def credit(
    plan_id: int,
    *,
    merchant_id: int,
    amount: int,
    how: How,
    reason: str,
    shown: int | None = None,
    request_key: RequestKey | None = None,
) -> Credited:
    """Lower what is owed by `amount` minor units, from the last installment backwards or spread over the unpaid ones.

    An installment credited to zero is waived. `shown` is what the form said remained.

    Refuses: not_found; payment_in_flight; nothing_owed; too_much and amount_changed (facts: remaining); Invalid on
    amount, how and reason; idempotency_key_reused; still_running; busy.
    """
    return idempotency.patiently(lambda: _credit(plan_id, merchant_id, amount, how, reason, shown, request_key))


def parts(rows: list[Installment], amount: int, how: How) -> list[allocation.Part]:
    """Which installment is credited with how many minor units; the form's preview and the verb share it."""
    return (allocation.from_last if how == "last" else allocation.spread)(preconditions.open_parts(rows), amount)


@unit_of_work
def _credit(
    plan_id: int,
    merchant_id: int,
    amount: int,
    how: How,
    reason: str,
    shown: int | None,
    request_key: RequestKey | None,
) -> Credited:
    if request_key is not None and (replay := idempotency.claim(request_key)) is not None:
        return Credited(plan_id, replay)
    if how not in HOW:
        raise Invalid(Fault("how", "bad_choice", "Choose from the last installment backwards, or spread."))
    reason = preconditions.reason_of(reason)
    plan, rows = preconditions.lock(plan_id, merchant_id=merchant_id)
    remaining = sum(row.left for row in rows)
    preconditions.unchanged(shown, remaining, plan.currency)
    if not remaining:
        raise Refused("nothing_owed", "Nothing is owed any more. Nothing was credited.")
    words = "That is more than is owed, which is {limit}. Nothing was credited."
    preconditions.within(amount, remaining, plan.currency, words=words, fact="remaining")
    by_id = {row.id: row for row in rows}
    for name, share in parts(rows, amount, how):
        by_id[name].credited += share
    ledger.book_credit(plan, amount, by=merchant_id, reason=reason)
    events.record("credit.given", plan.id, by=merchant_id, amount=amount, reason=reason, how=how)
    plan_status.recompute(plan, rows)
    done = Credited(plan.id)
    if request_key is not None:
        idempotency.store(request_key, done)
    return done
