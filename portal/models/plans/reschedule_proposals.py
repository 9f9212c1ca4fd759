"""Proposals of other days for a plan, which its customer accepts or declines."""

from datetime import date
from typing import Literal, get_args

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Date,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column

from portal.domain.rescheduling import CHANGES, Change
from portal.extensions import Model
from portal.models.columns import Id, Instant, UserId
from portal.models.texts import typed_text

ProposalOutcome = Literal["accepted", "declined", "withdrawn", "lapsed", "void"]
"""The customer accepted or declined it, the business withdrew it, the time ran out, or the plan changed meanwhile."""
PROPOSAL_OUTCOMES: tuple[ProposalOutcome, ...] = get_args(ProposalOutcome)


class RescheduleProposal(Model):
    """Other days for the open part of a plan. At most one of a plan has no end.

    `open_ids`, `open_days` and `open_amounts` (minor units) are the installments that were open at the proposal. Those
    in `closed_ids` would close, and `new_days` with `new_amounts` take their place. `user_id` is the customer who is
    asked. `terms` with version and language is the text that was accepted. A guard fixes all but the end.
    """

    __tablename__ = "reschedule_proposals"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    user_id: Mapped[UserId]
    how: Mapped[Change] = mapped_column(Enum(*CHANGES, name="how", native_enum=False, create_constraint=True))
    reason_id: Mapped[int] = mapped_column(BigInteger)
    open_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    open_days: Mapped[list[date]] = mapped_column(ARRAY(Date))
    open_amounts: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    closed_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    new_days: Mapped[list[date]] = mapped_column(ARRAY(Date))
    new_amounts: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    proposed_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    proposed_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]
    outcome: Mapped[ProposalOutcome | None] = mapped_column(
        Enum(*PROPOSAL_OUTCOMES, name="outcome", native_enum=False, create_constraint=True)
    )
    address: Mapped[str | None] = mapped_column(String(45))
    version: Mapped[str | None] = mapped_column(String(20))
    language: Mapped[str | None] = mapped_column(String(20))
    terms: Mapped[str | None] = mapped_column(Text)

    reason: Mapped[str | None] = column_property(typed_text(reason_id))

    __table_args__ = (
        ForeignKeyConstraint(
            ["plan_id", "reason_id"], ["texts.plan_id", "texts.id"], name="fk_reschedule_proposals_reason"
        ),
        CheckConstraint(
            "CASE WHEN outcome = 'accepted' THEN num_nulls(terms, version, language) = 0 AND terms <> '' "
            "AND version <> '' AND language <> '' "
            "ELSE num_nonnulls(address, version, language, terms) = 0 END",
            name="accepted",
        ),
        CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended"),
        CheckConstraint("expires_at > proposed_at", name="expires"),
        CheckConstraint(
            "cardinality(open_ids) > 0 AND cardinality(closed_ids) > 0 AND cardinality(new_days) > 0 "
            "AND closed_ids <@ open_ids AND cardinality(open_days) = cardinality(open_ids) "
            "AND cardinality(open_amounts) = cardinality(open_ids) "
            "AND cardinality(new_amounts) = cardinality(new_days) "
            "AND 0 < ALL (open_amounts) AND 0 < ALL (new_amounts)",
            name="rows",
        ),
        Index("ix_reschedule_proposals_open_expires_at", "expires_at", postgresql_where=text("ended_at IS NULL")),
        Index("ix_reschedule_proposals_plan_id_id", "plan_id", "id"),
        Index(
            "uq_reschedule_proposals_open_plan_id", "plan_id", unique=True, postgresql_where=text("ended_at IS NULL")
        ),
    )
