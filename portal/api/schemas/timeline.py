"""Schemas of a plan's timeline."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from portal.api.schemas.kinds import Id, Instant, Money, Out, PageQuery, decimal
from portal.domain.events import KINDS, OF_CUSTOMERS
from portal.models import Event, Plan

By = Literal["customer", "merchant", "operator", "system"]


class TimelineEntry(Out, kw_only=True):
    """Something that happened to a plan. Kinds may be added: show those you don't know by their name."""

    kind: Annotated[str, Meta(description=f"Known: {', '.join(KINDS)}.")]
    created_at: Instant
    by: By
    name: Annotated[str | None, Meta(description="The person who did it. Null for the system, and for other parties.")]
    amount: Money | None
    reason: Annotated[str | None, Meta(description="What the person typed. Null without one, and once it is erased.")]
    cause: Annotated[str | None, Meta(description="Why, where nobody typed a reason: taken_back, lapsed and others.")]
    installment: Id | None
    payment: Id | None
    refund: Id | None


class TimelineQuery(PageQuery, kw_only=True):
    """The page of a timeline."""


def timeline_entry(row: Event, plan: Plan, *, payer: bool) -> TimelineEntry:
    """The schema of an event. The payer sees no names of the merchant's people, nor that of a former customer."""
    payload: Any = row.payload
    amount = getattr(payload, "amount", None)
    by = _by(row, plan)
    named = by in ("customer", "merchant") and (not payer or row.actor_id == plan.customer_id)
    return TimelineEntry(
        kind=row.kind,
        created_at=row.created_at,
        by=by,
        name=row.actor.display_name if named and row.actor is not None and row.actor.erased_at is None else None,
        amount=decimal(amount, plan.currency) if amount is not None else None,
        reason=row.reason or None,
        cause=getattr(payload, "cause", None),
        installment=getattr(payload, "installment_id", None),
        payment=getattr(payload, "payment_id", None),
        refund=getattr(payload, "refund_id", None),
    )


def _by(row: Event, plan: Plan) -> By:
    if row.actor is None:
        return "system"
    if row.actor.is_operator:
        return "operator"
    of_customer = row.actor_id == plan.customer_id or type(row.payload) in OF_CUSTOMERS
    return "customer" if of_customer else "merchant"
