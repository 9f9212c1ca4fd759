"""Plans: purchases in installments."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from sqlalchemy import (
    BigInteger,
    BindParameter,
    CheckConstraint,
    ColumnElement,
    Enum,
    ForeignKey,
    Index,
    ScalarSelect,
    Select,
    SmallInteger,
    String,
    UniqueConstraint,
    and_,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column, query_expression, relationship

from portal.domain import clock
from portal.domain.money import MAX_MINOR
from portal.domain.schedule import MAX_GRACE_DAYS, MAX_WITHDRAWAL_DAYS, PLAN_INTERVALS, PlanInterval
from portal.extensions import Model, db
from portal.models.accounts.merchants import Merchant
from portal.models.accounts.users import User
from portal.models.columns import Currency, Id, Instant, Minor, UserId, pair_name

if TYPE_CHECKING:
    from portal.models.plans.installments import Installment, InstallmentStatus
    from portal.models.plans.reschedule_proposals import RescheduleProposal

PlanState = Literal["active", "completed", "cancelled"]
PLAN_STATES: tuple[PlanState, ...] = get_args(PlanState)
PlanStatus = Literal["active", "overdue", "completed", "cancelled"]
PLAN_STATUSES: tuple[PlanStatus, ...] = get_args(PlanStatus)
"""The statuses that pages and the API show: `overdue` is an active plan with a late installment."""
ClosedBy = Literal["paid", "cancel", "write_off", "refund"]
CLOSED_BY: tuple[ClosedBy, ...] = get_args(ClosedBy)
"""Why a plan is closed: it is paid, or was cancelled or credited whole, written off, or refunded whole."""


class PlanRules:
    """Facts that follow from the columns of a plan, for its row of the session and for columns that were read alone."""

    if TYPE_CHECKING:
        state: Any
        next_late_at: Any
        counted: Any
        accepted_at: Any
        disputed_at: Any
        withdrawal_days: Any
        delivered_at: Any
        created_at: Any
        time_zone: Any

    @property
    def status(self) -> PlanStatus:
        """active, overdue, completed or cancelled, at the present instant."""
        if self.state == "active" and self.next_late_at is not None and self.next_late_at <= clock.now():
            return "overdue"
        return cast(PlanState, self.state)

    @property
    def is_asked(self) -> bool:
        """The plan waits for its customer's acceptance."""
        return self.state == "active" and not self.counted

    @property
    def may_dispute(self) -> bool:
        """The customer may say that the plan is not theirs: once, before they accept it."""
        return self.state == "active" and self.accepted_at is None and self.disputed_at is None

    @property
    def withdrawal_ends_at(self) -> datetime | None:
        """The instant until which the customer may withdraw; None without that right."""
        if not self.withdrawal_days or self.delivered_at is not None or self.state != "active":
            return None
        day = clock.local_date(self.created_at, self.time_zone) + timedelta(days=self.withdrawal_days + 1)
        return clock.midnight(day, self.time_zone)

    @property
    def today(self) -> date:
        """The local date in the plan's time zone, the calendar of its due dates."""
        return clock.today(self.time_zone)


class Plan(PlanRules, Model):
    """A purchase of `total` minor units in installments.

    `state` is stored. The status `overdue` is computed from `next_late_at`. `next_due_on` is the date of the oldest
    open installment, `next_late_at` the instant of the oldest one that may be late; a trigger maintains them. Time zone
    and grace days are copied from the merchant when the plan is created.

    A plan without a remaining amount is completed if payments were kept, else cancelled; `closed_by` says why. A
    `deposit` (minor units) is the amount of its first installment, due at once. `cancelled_at` marks a plan
    that its merchant cancelled, which is final. `external_id` is the merchant's id for the plan, unique for each
    merchant. `notes` (column metadata) are the merchant's own; the API shows them to the customer, too. A muted plan
    causes no reminders, and neither does a plan whose customer reported the shop (`reported_at`), until an operator
    has looked at it.
    `automatic_method_id` is the saved method from which installments are collected on their due dates.

    A plan that is not `counted` waits for its customer's acceptance until `lapses_at`: it is booked nowhere, is never
    late, and causes no reminder and no automatic payment. `lapses_at` is NULL once no acceptance is needed. While the
    customer disputes a plan it is `disputed`, from `disputed_at` to `dispute_ended_at`. Installments repeat `counted`
    and `disputed` (foreign key). The customer may withdraw within `withdrawal_days` of the creation, until
    `delivered_at`. `import_id` is the import that the plan came with.
    """

    __tablename__ = "plans"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    customer_id: Mapped[UserId] = mapped_column()
    description: Mapped[str] = mapped_column(String(200), default="")
    external_id: Mapped[str | None] = mapped_column(String(100))
    notes: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, default=dict, server_default=text("'{}'::jsonb"))
    total: Mapped[Minor]
    currency: Mapped[Currency]
    num_installments: Mapped[int] = mapped_column(SmallInteger)
    interval: Mapped[PlanInterval] = mapped_column(
        Enum(*PLAN_INTERVALS, name="interval", native_enum=False, create_constraint=True)
    )
    start_date: Mapped[date]
    deposit: Mapped[int | None] = mapped_column(BigInteger)
    time_zone: Mapped[str] = mapped_column(String(64))
    grace_days: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[PlanState] = mapped_column(
        Enum(*PLAN_STATES, name="state", native_enum=False, create_constraint=True), default="active"
    )
    next_due_on: Mapped[date | None]
    next_late_at: Mapped[Instant | None]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]
    closed_at: Mapped[Instant | None]
    closed_by: Mapped[ClosedBy | None] = mapped_column(
        Enum(*CLOSED_BY, name="closed_by", native_enum=False, create_constraint=True)
    )
    cancelled_at: Mapped[Instant | None]
    muted_at: Mapped[Instant | None]
    reported_at: Mapped[Instant | None]
    automatic_method_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payment_methods.id"))
    automatic_since: Mapped[Instant | None]
    counted: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    lapses_at: Mapped[Instant | None]
    asked_again_at: Mapped[Instant | None]
    accepted_at: Mapped[Instant | None]
    disputed: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    disputed_at: Mapped[Instant | None]
    dispute_ended_at: Mapped[Instant | None]
    withdrawal_days: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    delivered_at: Mapped[Instant | None]
    import_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("imports.id"))

    pair_name: Mapped[str | None] = column_property(pair_name(merchant_id, customer_id))
    """The merchant's own name for the customer."""
    merchant: Mapped[Merchant] = relationship()
    customer: Mapped[User] = relationship()
    open_proposal: Mapped["RescheduleProposal | None"] = relationship(
        "RescheduleProposal",
        primaryjoin="and_(Plan.id == RescheduleProposal.plan_id, RescheduleProposal.ended_at.is_(None))",
        viewonly=True,
        uselist=False,
    )
    installments: Mapped[list["Installment"]] = relationship(
        primaryjoin="and_(Installment.plan_id == Plan.id, Installment.moved < Installment.amount)",
        order_by="(Installment.due_date, Installment.number)",
        foreign_keys="Installment.plan_id",
        viewonly=True,
    )
    listed_installments: Mapped[Any] = query_expression()
    """Due date, number, status and remaining amount of each of `installments`, in no order, where a list of plans reads
    them beside the plan; else None.
    """

    __table_args__ = (
        UniqueConstraint("id", "merchant_id", "customer_id", "currency"),
        UniqueConstraint(
            "id", "merchant_id", "customer_id", "currency", "counted", "disputed", name="uq_plans_repeated_columns"
        ),
        CheckConstraint(f"total > 0 AND total <= {MAX_MINOR} AND total >= num_installments", name="total"),
        CheckConstraint("num_installments BETWEEN 1 AND 60", name="num_installments"),
        CheckConstraint(f"grace_days BETWEEN 0 AND {MAX_GRACE_DAYS}", name="grace_days"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("start_date BETWEEN '2000-01-01' AND '2199-12-31'", name="start_date"),
        CheckConstraint("(state = 'active') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("(closed_at IS NULL) = (closed_by IS NULL)", name="closed_for"),
        CheckConstraint("deposit > 0 AND deposit < total", name="deposit"),
        CheckConstraint("(automatic_method_id IS NULL) = (automatic_since IS NULL)", name="automatic"),
        CheckConstraint("external_id <> '' AND jsonb_typeof(metadata) = 'object'", name="external_id"),
        CheckConstraint(
            "CASE WHEN counted THEN lapses_at IS NULL OR state <> 'active' ELSE lapses_at IS NOT NULL END",
            name="counted",
        ),
        CheckConstraint("accepted_at IS NULL OR (lapses_at IS NULL AND NOT disputed)", name="accepted"),
        CheckConstraint(
            "disputed = (disputed_at IS NOT NULL AND dispute_ended_at IS NULL)"
            " AND (dispute_ended_at IS NULL OR disputed_at IS NOT NULL) AND (NOT disputed OR state = 'active')",
            name="disputed",
        ),
        CheckConstraint(f"withdrawal_days BETWEEN 0 AND {MAX_WITHDRAWAL_DAYS}", name="withdrawal_days"),
        Index("ix_plans_merchant_id_id", "merchant_id", "id"),
        Index("ix_plans_import_id_id", "import_id", "id", postgresql_where=text("import_id IS NOT NULL")),
        Index("ix_plans_merchant_id_updated_at", "merchant_id", "updated_at"),
        Index(
            "ix_plans_automatic_next_due_on",
            "next_due_on",
            "id",
            postgresql_where=text("automatic_method_id IS NOT NULL AND state = 'active'"),
        ),
        Index(
            "ix_plans_automatic_method_id",
            "automatic_method_id",
            postgresql_where=text("automatic_method_id IS NOT NULL"),
        ),
        Index("ix_plans_customer_id_id", "customer_id", "id"),
        Index("ix_plans_merchant_id_created_at_id", "merchant_id", "created_at", "id"),
        Index("ix_plans_merchant_id_currency_total_id", "merchant_id", "currency", "total", "id"),
        Index("ix_plans_merchant_id_customer_id_id", "merchant_id", "customer_id", "id"),
        Index(
            "ix_plans_merchant_id_closed_by_id",
            "merchant_id",
            "closed_by",
            "id",
            postgresql_where=text("closed_by IS NOT NULL"),
        ),
        Index("ix_plans_merchant_id_state_id", "merchant_id", "state", "id"),
        Index(
            "ix_plans_closed_merchant_id_created_at_id",
            "merchant_id",
            "created_at",
            "id",
            postgresql_where=text("state <> 'active'"),
        ),
        Index(
            "ix_plans_merchant_id_next_late_at",
            "merchant_id",
            "next_late_at",
            "id",
            postgresql_where=text("state = 'active'"),
        ),
        Index("ix_plans_merchant_id_next_due_on_id", "merchant_id", "next_due_on", "id"),
        Index(
            "ix_plans_open_merchant_id_time_zone", "merchant_id", "time_zone", postgresql_where=text("state = 'active'")
        ),
        Index(
            "ix_plans_lapses_at",
            "lapses_at",
            "id",
            postgresql_where=text("state = 'active' AND lapses_at IS NOT NULL"),
        ),
        Index(
            "ix_plans_unaccepted_merchant_id_id",
            "merchant_id",
            "id",
            postgresql_where=text("state = 'active' AND NOT counted"),
        ),
        Index("ix_plans_disputed_merchant_id_id", "merchant_id", "id", postgresql_where=text("disputed")),
        Index(
            "uq_plans_merchant_id_external_id",
            "merchant_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    @property
    def statuses(self) -> "list[InstallmentStatus]":
        """The statuses of its installments, in their order."""
        if self.listed_installments:
            return [status for _, _, status, _ in sorted(self.listed_installments)]
        return [installment.status for installment in self.installments]

    @property
    def remaining(self) -> int:
        """The minor units that its installments leave to pay."""
        if self.listed_installments:
            return sum(remaining for *_, remaining in self.listed_installments)
        return sum(installment.remaining for installment in self.installments)

    @property
    def parties(self) -> tuple[str, str]:
        """The customer's email and the business's name."""
        return self.customer.email, self.merchant.business_name

    @staticmethod
    def has_status(status: str, now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
        """The same rule as `status`, in SQL, with "unaccepted" and "disputed" for active plans. `now` is aware.

        A closed state is a constant of the statement: a query plan kept for any state could not use the index of them.
        """
        if status == "overdue":
            return and_(Plan.state == "active", Plan.next_late_at <= now)
        if status == "active":
            return and_(Plan.state == "active", or_(Plan.next_late_at.is_(None), Plan.next_late_at > now))
        if status == "unaccepted":
            return and_(Plan.state == "active", ~Plan.counted)
        if status == "disputed":
            return and_(Plan.state == "active", Plan.disputed)
        return Plan.state == literal(status, literal_execute=True)

    @staticmethod
    def of_merchant(merchant_id: int) -> Select["Plan"]:
        return select(Plan).where(Plan.merchant_id == merchant_id)

    @staticmethod
    def of_customer(customer_id: int) -> Select["Plan"]:
        return select(Plan).where(Plan.customer_id == customer_id)

    @staticmethod
    def lock(plan_id: int | ScalarSelect[int]) -> "Plan | None":
        """Lock the row against other changes to this plan until the transaction ends, and re-read it.

        `plan_id` may be a query that finds the id.
        """
        return db.session.scalar(Plan.locking(plan_id))

    @staticmethod
    def locking(plan_id: int | BindParameter[int] | ScalarSelect[int]) -> Select["Plan"]:
        """The statement of `lock`."""
        query = select(Plan).where(Plan.id == plan_id).with_for_update(key_share=True)
        return query.execution_options(populate_existing=True)

    @staticmethod
    def lock_all(plan_ids: Iterable[int]) -> "list[Plan]":
        """Lock several plans as `lock` does, in order of id, so that concurrent calls cannot deadlock."""
        return list(
            db.session.scalars(
                select(Plan)
                .where(Plan.id.in_(plan_ids))
                .order_by(Plan.id)
                .with_for_update(key_share=True)
                .execution_options(populate_existing=True)
            )
        )


class PlanGrams(Model):
    """The grams that a search finds a plan by, beside the plan: a payment changes the plan and not their index.

    A trigger writes the row (models/guards/search). The business repeats that of the plan, so that the rows of one
    business are found together.
    """

    __tablename__ = "plan_grams"

    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"), primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(BigInteger)
    grams: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))

    __table_args__ = (
        Index("ix_plan_grams_grams", "grams", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
        Index("ix_plan_grams_merchant_id_plan_id", "merchant_id", "plan_id"),
    )
