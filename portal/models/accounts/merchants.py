"""Businesses (merchants) and their settings."""

from sqlalchemy import BigInteger, CheckConstraint, SmallInteger, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.schedule import MAX_GRACE_DAYS, MAX_WITHDRAWAL_DAYS
from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Currency, Instant, is_one_line


class Merchant(Model):
    """One business and its settings. Its people are its memberships.

    Ids of accounts and businesses come from one sequence. A business that is registered together with its account has
    the account's id, because clients of the old API compare the two. A trigger fixes the home currency once a plan
    exists.

    `reminder_days` are signed days from the due date, ascending. Customers are reminded on them from `sending_hour` on
    (0 to 23, local). `reminding_since` is the last change of the days: earlier days are not made up for. Within
    `withdrawal_days` of a plan's creation its customer may withdraw, unless the goods were delivered.
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
    updated_at: Mapped[Instant]

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
    )


Merchant.__table__.add_is_dependent_on(User.__table__)  # type: ignore[attr-defined]  # for its sequence
