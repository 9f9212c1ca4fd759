"""Schemas of drafts: the plans of a merchant that waits for an operator's approval."""

from datetime import date
from typing import Annotated

from msgspec import Meta

from portal.api.schemas.kinds import Currency, EmailText, Id, Instant, Metadata, Money, Name, Out, decimal
from portal.api.schemas.plans import ScheduleRow
from portal.domain.schedule import PlanInterval
from portal.services.plans.drafts import DraftFacts


class PlanDraft(Out, kw_only=True):
    """A plan that is made once the merchant is approved. Until then nothing reaches its customer.

    The plan has the same terms and `external_id`, and an id of its own. The draft is gone then. `fault` is the code of
    the refusal, if the plan could not be made; it is tried again every hour.
    """

    id: Id
    customer_email: EmailText
    total_amount: Money
    currency: Currency
    num_installments: Annotated[int, Meta(description="A deposit counts.")]
    interval: PlanInterval
    start_date: date
    deposit: Money | None
    installments: list[ScheduleRow]
    description: Name
    external_id: Annotated[str, Meta(max_length=100)] | None
    metadata: Metadata
    created_at: Instant
    tried_at: Instant | None
    fault: Annotated[str, Meta(max_length=40)] | None


def plan_draft(facts: DraftFacts) -> PlanDraft:
    return PlanDraft(
        id=facts.id,
        customer_email=facts.customer_email,
        total_amount=decimal(facts.total, facts.currency),
        currency=facts.currency,
        num_installments=len(facts.rows),
        interval=facts.interval,
        start_date=facts.start_date,
        deposit=None if facts.deposit is None else decimal(facts.deposit, facts.currency),
        installments=[
            ScheduleRow(number=row.number, amount=decimal(row.amount, facts.currency), due_date=row.due_date)
            for row in facts.rows
        ],
        description=facts.description,
        external_id=facts.external_id,
        metadata=facts.notes,
        created_at=facts.created_at,
        tried_at=facts.tried_at,
        fault=facts.fault,
    )
