"""The outcome of a press that paid everything due to a business, read from its parts' payments."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.errors import AnswerGone
from portal.extensions import db
from portal.models import IdempotencyKey, Payment, Plan
from portal.reports.payments import shop_dues
from portal.services import results
from portal.services.dues.shop_payments import ShopPaymentBegun, scope_of


@dataclass(frozen=True, slots=True)
class PressedPart:
    """A plan of the press, what was due on it (minor units), and its payment, if one was started.

    `still_due` is what can be paid on it now.
    """

    plan: Plan
    minor: int
    payment: Payment | None
    still_due: int

    @property
    def state(self) -> str:
        """The payment's state, or "not_charged"."""
        return "not_charged" if self.payment is None else self.payment.state


@dataclass(frozen=True, slots=True)
class Press:
    """The parts in their order."""

    parts: Sequence[PressedPart]

    @property
    def paid(self) -> int:
        """Minor units paid by this press."""
        return self._sum("succeeded")

    @property
    def checking(self) -> int:
        """Minor units of the payments whose outcome is not known yet."""
        return self._sum("in_flight")

    @property
    def still_due(self) -> int:
        """Minor units that can be paid now on the parts that this press did not pay."""
        return sum(part.still_due for part in self.parts if part.state != "succeeded")

    @property
    def is_whole(self) -> bool:
        """Every part is paid."""
        return all(part.state == "succeeded" for part in self.parts)

    def _sum(self, state: str) -> int:
        return sum(part.payment.amount for part in self.parts if part.payment is not None and part.state == state)


def press(customer_id: int, merchant_id: int, currency: str, key: str) -> Press | None:
    """The press of this customer under this key; None when there is none, or its key was deleted (after 24 hours)."""
    begun = _begun(customer_id, merchant_id, currency, key)
    if begun is None:
        return None
    scopes = {scope_of(merchant_id, currency, part.plan_id): part.plan_id for part in begun.parts}
    query = (
        select(IdempotencyKey.scope, Payment)
        .join(Payment, Payment.id == IdempotencyKey.payment_id)
        .where(IdempotencyKey.user_id == customer_id, IdempotencyKey.scope.in_(scopes), IdempotencyKey.key == key)
    )
    payments = {scopes[row.scope]: row.Payment for row in db.session.execute(query)}
    loaded = select(Plan).where(Plan.id.in_(scopes.values()), Plan.customer_id == customer_id)
    plans = {plan.id: plan for plan in db.session.scalars(loaded.options(joinedload(Plan.merchant)))}
    due = {row.plan_id: row.minor for row in shop_dues.plans_due(customer_id, merchant_id, currency)}
    return Press(
        [
            PressedPart(plans[part.plan_id], part.minor, payments.get(part.plan_id), due.get(part.plan_id, 0))
            for part in begun.parts
            if part.plan_id in plans
        ]
    )


def _begun(customer_id: int, merchant_id: int, currency: str, key: str) -> ShopPaymentBegun | None:
    row = db.session.get(IdempotencyKey, (customer_id, scope_of(merchant_id, currency), key))
    if row is None or row.result is None:
        return None
    try:
        begun = results.decode(row.result)
    except AnswerGone:
        return None
    return begun if isinstance(begun, ShopPaymentBegun) else None
