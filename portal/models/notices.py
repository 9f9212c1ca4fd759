"""The notices that members of a business get by mail, and up to where they have been told."""

from datetime import date
from typing import Final, Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Instant

Digested = Literal["paid", "completed", "refunded", "declined", "automatic", "late"]
"""The notices that wait for the digest: paid, paid in full, refunded, declined, automatic payment failed or stopped,
late for a week."""
Urgent = Literal["bounced", "accepted", "disputed", "withdrawn"]
"""The notices that are mailed at once: taken back by the bank, accepted or lapsed, "not mine", withdrawn."""
Notice = Literal[Digested, Urgent]
DIGESTED: Final[tuple[Digested, ...]] = get_args(Digested)
URGENT: Final[tuple[Urgent, ...]] = get_args(Urgent)
NOTICES: Final[tuple[Notice, ...]] = (*DIGESTED, *URGENT)

_KINDS: Final = ", ".join(f"'{notice}'" for notice in NOTICES)


class NoticeSettings(Model):
    """A member's choice for one business. An owner or manager without a row gets one from the job that posts digests.

    `off` are the notices that the member turned off. `at_once`: the digest is sent as soon as it has something to say,
    else at 08:00 on or after the local day `next_day` of the business. `told_number` (a place in the feed of public
    events) and `told_at` are where the newest digest ends; the next one begins there.
    """

    __tablename__ = "notice_settings"

    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    off: Mapped[list[Notice]] = mapped_column(ARRAY(String(10)), default=list, server_default=text("'{}'"))
    at_once: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    next_day: Mapped[date]
    told_number: Mapped[int] = mapped_column(BigInteger)
    told_at: Mapped[Instant]

    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "merchant_id"],
            ["memberships.user_id", "memberships.merchant_id"],
            name="fk_notice_settings_membership",
            ondelete="CASCADE",
        ),
        CheckConstraint(f"off <@ ARRAY[{_KINDS}]::varchar[] AND array_position(off, NULL) IS NULL", name="off"),
        CheckConstraint("told_number >= 0", name="told_number"),
        Index("ix_notice_settings_next_day", "next_day"),
        Index("ix_notice_settings_at_once_merchant_id", "merchant_id", "user_id", postgresql_where=text("at_once")),
    )
