"""Businesses (merchants) and their settings."""

from datetime import date
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from portal.domain import lookalikes
from portal.domain.permissions import Standing
from portal.domain.schedule import MAX_GRACE_DAYS, MAX_WITHDRAWAL_DAYS
from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Currency, Instant, is_one_line

if TYPE_CHECKING:
    from portal.models.letterheads import Letterhead


class Merchant(Model):
    """One business and its settings. Its people are its memberships.

    Ids of accounts and businesses come from one sequence. A business that is registered together with its account has
    the account's id, because clients of the old API compare the two. A trigger fixes the home currency once a plan
    exists.

    `reminder_days` are signed days from the due date, ascending. Customers are reminded on them from `sending_hour` on
    (0 to 23, local). `reminding_since` is the last change of the days: earlier days are not made up for. Within
    `withdrawal_days` of a plan's creation its customer may withdraw, unless the goods were delivered. Nothing is booked
    on `books_closed_until` (local date) or before it; a trigger lets it move forward only.

    `name_skeleton` is equal for names that read alike (domain/lookalikes.py). Setting the name sets it. A business
    without `approved_at` waits for an operator, or was declined (`declined_at`). `deactivated_at` is an operator's act.
    `closing_at` is the owner's decision to close the business, and `closed_at` the end of its wind-down.
    `first_steps_hidden_at`: a member took the first steps off the dashboard.
    """

    __tablename__ = "merchants"

    id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, server_default=text("nextval('users_id_seq')")
    )
    business_name: Mapped[str] = mapped_column(String(200))
    home_currency: Mapped[Currency]
    time_zone: Mapped[str] = mapped_column(String(64))
    grace_days: Mapped[int] = mapped_column(SmallInteger, default=0)
    reminder_days: Mapped[list[int]] = mapped_column(
        ARRAY(SmallInteger), default=lambda: [-3, 0, 1, 7, 14], server_default=text("'{-3,0,1,7,14}'")
    )
    sending_hour: Mapped[int] = mapped_column(SmallInteger, default=9, server_default=text("9"))
    reminding_since: Mapped[Instant | None]
    withdrawal_days: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    books_closed_until: Mapped[date | None]
    updated_at: Mapped[Instant]
    name_skeleton: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    approved_at: Mapped[Instant | None]
    declined_at: Mapped[Instant | None]
    deactivated_at: Mapped[Instant | None]
    closing_at: Mapped[Instant | None]
    closed_at: Mapped[Instant | None]
    first_steps_hidden_at: Mapped[Instant | None]

    letterhead: Mapped["Letterhead | None"] = relationship("Letterhead", viewonly=True, uselist=False)

    __table_args__ = (
        CheckConstraint(f"grace_days BETWEEN 0 AND {MAX_GRACE_DAYS}", name="grace_days"),
        CheckConstraint(
            "cardinality(reminder_days) <= 10 AND -60 <= ALL (reminder_days) AND 90 >= ALL (reminder_days) "
            "AND array_position(reminder_days, NULL) IS NULL",
            name="reminder_days",
        ),
        CheckConstraint(f"withdrawal_days BETWEEN 0 AND {MAX_WITHDRAWAL_DAYS}", name="withdrawal_days"),
        CheckConstraint("sending_hour BETWEEN 0 AND 23", name="sending_hour"),
        CheckConstraint(f"business_name <> '' AND {is_one_line('business_name')}", name="named"),
        CheckConstraint("home_currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("approved_at IS NULL OR declined_at IS NULL", name="decided"),
        CheckConstraint("closed_at >= closing_at", name="closed"),
        CheckConstraint("closed_at IS NULL OR closing_at IS NOT NULL", name="closed_after_closing"),
        Index("ix_merchants_name_skeleton", "name_skeleton", postgresql_ops={"name_skeleton": "text_pattern_ops"}),
        Index(
            "ix_merchants_waiting_id",
            "id",
            postgresql_where=text("approved_at IS NULL AND declined_at IS NULL AND deactivated_at IS NULL"),
        ),
        Index("ix_merchants_deactivated_id", "id", postgresql_where=text("deactivated_at IS NOT NULL")),
        Index("ix_merchants_closing_id", "id", postgresql_where=text("closing_at IS NOT NULL")),
    )

    @property
    def standing(self) -> Standing:
        """The stage of the business, which limits what its members may do (domain/permissions.py)."""
        return standing_of(self)

    @property
    def stage(self) -> Standing | Literal["declined"]:
        """The standing for people: a draft that an operator declined is "declined"."""
        return "declined" if self.standing == "draft" and self.declined_at is not None else self.standing

    @validates("business_name")
    def _set_skeleton(self, _column: str, value: str) -> str:
        self.name_skeleton = lookalikes.skeleton(value)
        return value


class _Instants(Protocol):
    approved_at: Any
    deactivated_at: Any
    closing_at: Any
    closed_at: Any


def standing_of(row: _Instants) -> Standing:
    """The standing of a business, from its row or from these columns of it."""
    if row.deactivated_at is not None:
        return "deactivated"
    if row.closed_at is not None:
        return "closed"
    if row.closing_at is not None:
        return "closing"
    return "live" if row.approved_at is not None else "draft"


Merchant.__table__.add_is_dependent_on(User.__table__)  # type: ignore[attr-defined]  # for its sequence
