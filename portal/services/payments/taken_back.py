"""Take a payment off its installments: what it had paid is owed again. Reversals and voids share it.

And the way back, for money that the bank gives back of a reversed payment.

Called inside a unit of work, after the plan is locked; never commits. Amounts are minor units.
"""

from portal.domain import allocation, clock
from portal.models import Installment, Payment, Plan
from portal.services.ledger import Effects


def parts(payment: Payment, amount: int) -> list[allocation.Part]:
    """The parts (installment id, minor units) that `amount` of a payment no longer pays.

    Counted from the payment's first installment on; the refunded part belongs to its last ones. The form's preview and
    the service functions share it.
    """
    paid = sorted(payment.allocations, key=lambda part: part.installment_id)
    counted = [(part.installment_id, part.amount - part.returned) for part in paid]
    taken = min(amount, sum(size for _, size in counted))
    return allocation.oldest_first(counted, taken) if taken else []


def effects(plan: Plan, payment: Payment, amount: int) -> Effects:
    """The effects of taking `amount` of this payment back. A recovery goes back to the written-off amount.

    On a cancelled plan the amount is void.
    """
    effects, recovered = Effects(), {part.installment_id: part.recovered for part in payment.allocations}
    for row_id, share in parts(payment, amount):
        if plan.cancelled_at is not None:
            effects.cancelled += share
            continue
        again = min(share, recovered[row_id])
        effects.written_off += again
        effects.reopened += share - again
        if share > again:
            effects.owed_again.append((row_id, share - again))
    effects.rest = amount - effects.reopened - effects.written_off - effects.cancelled
    return effects


def take_back(plan: Plan, rows: list[Installment], payment: Payment, amount: int) -> Effects:
    """Lower the paid amounts of the installments by `amount` of this payment. Returns the effects."""
    total, by_id = effects(plan, payment, amount), {row.id: row for row in rows}
    allocations = {part.installment_id: part for part in payment.allocations}
    for row_id, share in parts(payment, amount):
        row, part = by_id[row_id], allocations[row_id]
        part.returned += share
        row.paid -= share
        row.paid_at = None
        if plan.cancelled_at is not None:
            row.credited += share
            row.cancelled_at = row.cancelled_at or clock.now()
            continue
        again = min(share, part.recovered)
        part.recovered -= again
        row.written_off += again
    return total


def restore(rows: list[Installment], payment: Payment, amount: int) -> int:
    """Let `amount` be owed again of what was void, when this payment was taken back from a cancelled plan.

    Its new payment follows in the same commit. An installment of which nothing is void any more is not cancelled.
    """
    by_id, left = {row.id: row for row in rows}, amount
    for part in sorted(payment.allocations, key=lambda part: part.installment_id):
        row = by_id[part.installment_id]
        share = min(left, part.returned, row.credited)
        left -= share
        row.credited -= share
        if share and not row.credited:
            row.cancelled_at = None
    return amount - left


def shares_again(rows: list[Installment], amount: int) -> list[allocation.Part]:
    """The parts (installment id, minor units) that `amount` pays, in the order of these rows.

    First what is left, then what is written off. What exceeds both is with the first part, and is owed no more.
    """
    shares: dict[int, int] = {}
    for owed in (
        {row.id: row.left for row in rows},
        {row.id: row.written_off for row in rows if row.cancelled_at is None},
    ):
        for row_id, size in owed.items():
            share = min(size, amount)
            shares[row_id] = shares.get(row_id, 0) + share
            amount -= share
    first = next((row_id for row_id, share in shares.items() if share), rows[0].id)
    shares[first] += amount
    return [(row_id, share) for row_id, share in shares.items() if share]
