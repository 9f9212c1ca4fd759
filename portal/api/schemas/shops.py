"""Schemas of what is due to a shop, and of one payment of all of it."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from msgspec import Meta

from portal.api.parsing import Amount
from portal.api.schemas.kinds import Currency, Id, In, Money, Out, decimal
from portal.api.schemas.payments import PaymentMethodText
from portal.reports.payments.shop_dues import LeftOut, PlanDue
from portal.services.dues.shop_payments import Outcome, PartOutcome, ShopPaymentBegun


class ShopDueQuery(In, kw_only=True):
    """The currency of what is due. By default that of the merchant."""

    currency: Currency | None = None


class DuePlan(Out, kw_only=True):
    """The amount due on a plan by today."""

    plan: Id
    amount: Money
    due_on: Annotated[date, Meta(description="The oldest due date.")]


class ShopDue(Out, kw_only=True):
    """The amount that you owe a shop by today, on the plans that one payment pays, in their order: 20 at most.

    `unaccepted`, `disputed`, `in_flight` and `further` count the plans that it leaves out, by reason.
    """

    merchant: Id
    merchant_name: str
    currency: Currency
    amount: Money
    plans: list[DuePlan]
    unaccepted: int
    disputed: int
    in_flight: Annotated[int, Meta(description="Plans with a payment without an outcome.")]
    further: Annotated[int, Meta(description="Plans beyond the 20.")]


class PayShop(In, kw_only=True):
    """A payment of everything that is due to a shop by today: one payment for each plan."""

    currency: Annotated[Currency | None, Meta(description="By default that of the merchant.")] = None
    expected: Annotated[
        Amount | None, Meta(description="The amount due that you expect. 409 amount_changed if it differs.")
    ] = None
    payment_method: PaymentMethodText | None = None


class PlanOutcome(Out, kw_only=True):
    """The outcome for one plan. Nothing was charged for it if the outcome is declined, refused or not_tried."""

    plan: Id
    amount: Money
    outcome: Outcome
    payment: Annotated[Id | None, Meta(description="The payment; null without one.")]
    code: Annotated[str | None, Meta(description="Of a plan that was refused: the error code.")]


class ShopPaid(Out, kw_only=True):
    """The outcome of a payment of everything due to a shop."""

    merchant: Id
    currency: Currency
    paid: Money
    in_flight: Annotated[Money, Meta(description="Of payments without an outcome yet.")]
    plans: list[PlanOutcome]


def shop_due(merchant: tuple[int, str], currency: str, rows: Sequence[PlanDue], out: LeftOut) -> ShopDue:
    return ShopDue(
        merchant=merchant[0],
        merchant_name=merchant[1],
        currency=currency,
        amount=decimal(sum(row.minor for row in rows), currency),
        plans=[DuePlan(plan=row.plan_id, amount=decimal(row.minor, currency), due_on=row.due_on) for row in rows],
        unaccepted=out.unaccepted,
        disputed=out.disputed,
        in_flight=out.checking,
        further=out.further,
    )


def shop_paid(begun: ShopPaymentBegun, outcomes: Sequence[PartOutcome]) -> ShopPaid:
    currency, parts = begun.currency, list(zip(begun.parts, outcomes, strict=True))
    return ShopPaid(
        merchant=begun.merchant_id,
        currency=currency,
        paid=decimal(sum(part.minor for part, made in parts if made.outcome == "paid"), currency),
        in_flight=decimal(sum(part.minor for part, made in parts if made.outcome == "checking"), currency),
        plans=[
            PlanOutcome(
                plan=part.plan_id,
                amount=decimal(part.minor, currency),
                outcome=made.outcome,
                payment=made.payment_id,
                code=made.code or None,
            )
            for part, made in parts
        ],
    )
