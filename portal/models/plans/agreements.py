"""Acceptance, disputes and blocks between a business and a person, and the acceptances of plans."""

from typing import Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Select,
    String,
    Text,
    select,
    text,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from portal.domain.events import DISPUTE_OUTCOMES, DisputeOutcome
from portal.extensions import Model, db
from portal.models.accounts.merchants import Merchant
from portal.models.columns import Grams, Id, Instant, UserId, is_one_line
from portal.models.plans.plans import Plan
from portal.models.texts import typed_text

Way = Literal["button", "payment"]
"""How a plan was accepted: by the button, or by paying while signed in or through the customer's own link."""
WAYS: tuple[Way, ...] = get_args(Way)


class Customer(Model):
    """The pair of a business and a person. The first plan between them writes it.

    `accepted_at` is the first acceptance of a plan. While `blocked_at` (by the person) or `barred_at` (after a dispute)
    is set, the business makes no plan for the person. The person alone clears either. `name`, `phone` and `note` are
    the business's own words about the person, None without one; nobody else sees them, and the person sees no note.
    `reminded_at` is when the newest reminder was sent. Triggers keep `sort_name`, the name in lists in small letters
    (NULL for an erased person), and `last_plan_id`, the newest plan (NULL once the person's only plan was given to
    another email).
    """

    __tablename__ = "customers"

    merchant_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("merchants.id"), primary_key=True, autoincrement=False
    )
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    created_at: Mapped[Instant]
    accepted_at: Mapped[Instant | None]
    blocked_at: Mapped[Instant | None]
    barred_at: Mapped[Instant | None]
    name: Mapped[str | None] = mapped_column(String(200))
    phone: Mapped[str | None] = mapped_column(String(40))
    note: Mapped[str | None] = mapped_column(String(500))
    reminded_at: Mapped[Instant | None]
    sort_name: Mapped[str | None] = mapped_column(String(254, collation="C"))
    last_plan_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("plans.id"))
    grams: Mapped[Grams]

    merchant: Mapped[Merchant] = relationship()

    __table_args__ = (
        Index("ix_customers_merchant_id_created_at", "merchant_id", "created_at"),
        Index("ix_customers_merchant_id_last_plan_id", "merchant_id", "last_plan_id"),
        Index("ix_customers_merchant_id_sort_name_user_id", "merchant_id", "sort_name", "user_id"),
        Index("ix_customers_user_id", "user_id", "merchant_id"),
        Index("ix_customers_grams", "grams", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
        CheckConstraint(f"name <> '' AND {is_one_line('name')}", name="name"),
        CheckConstraint(f"note <> '' AND {is_one_line('note')}", name="note"),
        CheckConstraint("phone ~ '^[+(]?[0-9][0-9 ().-]*$'", name="phone"),
    )

    @property
    def is_closed(self) -> bool:
        """The business makes no plan for the person."""
        return self.blocked_at is not None or self.barred_at is not None


class Acceptance(Model):
    """The acceptance of a plan that needed one, with the text of its terms. Only `address` may be erased (guard)."""

    __tablename__ = "acceptances"

    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"), primary_key=True, autoincrement=False)
    user_id: Mapped[UserId]
    way: Mapped[Way] = mapped_column(Enum(*WAYS, name="way", native_enum=False, create_constraint=True))
    accepted_at: Mapped[Instant]
    address: Mapped[str | None] = mapped_column(String(45))
    version: Mapped[str] = mapped_column(String(20))
    language: Mapped[str] = mapped_column(String(20))
    terms: Mapped[str] = mapped_column(Text)

    __table_args__ = (CheckConstraint("terms <> '' AND version <> '' AND language <> ''", name="whole"),)


class Dispute(Model):
    """The statement of a plan's customer that it is not theirs, the business's answer, and how it ended.

    `insisted_at`: the customer upheld the dispute after the answer. `answer` is None once it is erased. `moved_at`: the
    plan went to another person, who may dispute it, too. A plan has one dispute that has not moved.
    """

    __tablename__ = "disputes"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    user_id: Mapped[UserId]
    opened_at: Mapped[Instant]
    answered_at: Mapped[Instant | None]
    answered_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    answer_id: Mapped[int | None] = mapped_column(BigInteger)
    insisted_at: Mapped[Instant | None]
    ended_at: Mapped[Instant | None]
    outcome: Mapped[DisputeOutcome | None] = mapped_column(
        Enum(*DISPUTE_OUTCOMES, name="outcome", native_enum=False, create_constraint=True)
    )
    ended_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    moved_at: Mapped[Instant | None]

    answer: Mapped[str | None] = column_property(typed_text(answer_id))
    plan: Mapped[Plan] = relationship()

    __table_args__ = (
        ForeignKeyConstraint(["plan_id", "answer_id"], ["texts.plan_id", "texts.id"], name="fk_disputes_answer"),
        CheckConstraint(
            "(answered_at IS NULL) = (answer_id IS NULL) AND (insisted_at IS NULL OR answered_at IS NOT NULL)",
            name="answered",
        ),
        CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended"),
        CheckConstraint("moved_at IS NULL OR ended_at IS NOT NULL", name="moved"),
        Index("ix_disputes_open_opened_at", "opened_at", "id", postgresql_where=text("ended_at IS NULL")),
        Index("ix_disputes_user_id", "user_id"),
        Index("uq_disputes_plan_id", "plan_id", unique=True, postgresql_where=text("moved_at IS NULL")),
    )

    @staticmethod
    def of_plan(plan_id: int) -> "Dispute | None":
        """The dispute of the plan's present customer, open or ended, read again."""
        return db.session.scalar(Dispute.current(plan_id))

    @staticmethod
    def current(plan_id: int) -> Select["Dispute"]:
        """The statement of `of_plan`."""
        query = select(Dispute).where(Dispute.plan_id == plan_id, Dispute.moved_at.is_(None))
        return query.execution_options(populate_existing=True)
