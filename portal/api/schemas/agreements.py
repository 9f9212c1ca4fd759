"""Schemas of disputes, of a customer's shops, and of the end of a merchant."""

from typing import Annotated, Any

from msgspec import Meta

from portal import models
from portal.api.parsing import whole
from portal.api.schemas.kinds import Id, In, Instant, Out, Reason, Text, up_to
from portal.domain.events import DisputeOutcome
from portal.domain.permissions import Standing
from portal.reports.operations.wind_downs import WindDown
from portal.services.agreements import disputes
from portal.services.operations.merchant_deactivations import Objected

MAX_OPEN_PLANS = 999_999_999


class DisputeAnswer(In, kw_only=True):
    """Your answer to a dispute. The customer reads it."""

    answer: Annotated[Text, up_to(200)]


class Dispute(Out, kw_only=True):
    """A dispute: the customer says that the plan is not theirs.

    The merchant answers once. Then the customer accepts the plan or upholds the dispute. From `decidable_at` on an
    operator decides.
    """

    plan: Id
    opened_at: Instant
    answer: Annotated[str | None, Meta(description="The merchant's answer. Null without one, and once it is erased.")]
    answered_at: Instant | None
    upheld_at: Annotated[Instant | None, Meta(description="When the customer upheld the dispute after the answer.")]
    decidable_at: Annotated[Instant | None, Meta(description="When an operator may decide. Null once it ended.")]
    ended_at: Instant | None
    outcome: DisputeOutcome | None


class Shop(Out, kw_only=True):
    """A merchant that made a plan for you. While `blocked_at` or `barred_at` is set it makes no new plan for you."""

    merchant: Id
    merchant_name: str
    customer_since: Instant
    blocked_at: Annotated[Instant | None, Meta(description="When you blocked it.")]
    barred_at: Annotated[Instant | None, Meta(description="When you disputed a plan of it.")]


class ClosingChoice(In, kw_only=True):
    """The confirmation of a closing."""

    open_plans: Annotated[
        Annotated[Any, whole(0, MAX_OPEN_PLANS)],
        Meta(description="The number of open plans that you were shown. 409 figures_changed if it differs."),
    ]


class Closing(Out, kw_only=True):
    """The end of a merchant, with what is left until then.

    It ends by itself once nothing is open, in flight or owed back, and `held_until` has passed.
    """

    standing: Standing
    closing_at: Annotated[Instant | None, Meta(description="Since when it makes no new plans.")]
    closed_at: Annotated[Instant | None, Meta(description="When the wind-down ended, for good.")]
    open_plans: int
    payments_in_flight: int
    refunds_in_flight: int
    plans_owed_back: Annotated[
        int, Meta(description="Plans that became void without an act of yours, and of which you keep money.")
    ]
    held_until: Annotated[Instant | None, Meta(description="180 days after the last payment by card.")]


class NewObjection(In, kw_only=True):
    """An objection to the deactivation of your merchant, for the operators."""

    reason: Annotated[Reason, Meta(description="Why it should be active again, in up to 200 letters on one line.")]


class Objection(Out, kw_only=True):
    """The objection was sent to the operators."""

    merchant: Id
    created_at: Instant


def dispute(row: models.Dispute) -> Dispute:
    return Dispute(
        plan=row.plan_id,
        opened_at=row.opened_at,
        answer=row.answer or None,
        answered_at=row.answered_at,
        upheld_at=row.insisted_at,
        decidable_at=None if row.ended_at is not None else disputes.decidable_at(row),
        ended_at=row.ended_at,
        outcome=row.outcome,
    )


def shop(row: models.Customer) -> Shop:
    return Shop(
        merchant=row.merchant_id,
        merchant_name=row.merchant.business_name,
        customer_since=row.created_at,
        blocked_at=row.blocked_at,
        barred_at=row.barred_at,
    )


def closing(row: models.Merchant, left: WindDown) -> Closing:
    return Closing(
        standing=row.standing,
        closing_at=row.closing_at,
        closed_at=row.closed_at,
        open_plans=left.open_plans,
        payments_in_flight=left.payments,
        refunds_in_flight=left.refunds,
        plans_owed_back=left.owed_back,
        held_until=left.held_until,
    )


def objection(sent: Objected) -> Objection:
    return Objection(merchant=sent.merchant_id, created_at=sent.created_at)
