"""Acts of operators on accounts and businesses, and the objections to them."""

from typing import Final, Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts.merchants import Merchant
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant

ActKind = Literal[
    "set_up",
    "merchant_approved",
    "merchant_declined",
    "merchant_deactivated",
    "merchant_reactivated",
    "merchant_objected",
    "merchant_renamed",
    "account_deactivated",
    "account_reactivated",
    "factor_removal_asked",
    "refund_released",
    "refund_withheld",
    "mail_resent",
    "job_retried",
    "job_cleared",
    "jobs_cleared",
]
ACT_KINDS: Final[tuple[ActKind, ...]] = get_args(ActKind)


class OperatorAct(Model):
    """One act of an operator: who (None: the command line), on which business or account, why, and when.

    `merchant_objected` is an owner's objection, whose text is the `reason`. `reason` is None without a text, or once it
    is erased. `refund_id` is the refund of an act on a refund. `merchant_renamed` is a change of the name by the
    business. `detail` is the name before, the number of a mail, or the id of a job.
    """

    __tablename__ = "operator_acts"

    id: Mapped[Id]
    kind: Mapped[ActKind] = mapped_column(
        Enum(*ACT_KINDS, name="kind", native_enum=False, create_constraint=True, length=30)
    )
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    merchant_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    user_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    refund_id: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[Instant]

    actor: Mapped[User | None] = relationship(foreign_keys=[actor_id])
    merchant: Mapped[Merchant | None] = relationship()
    user: Mapped[User | None] = relationship(foreign_keys=[user_id])

    __table_args__ = (
        CheckConstraint(
            "detail IS NOT NULL OR kind NOT IN ('mail_resent', 'job_retried', 'job_cleared')", name="detail"
        ),
        CheckConstraint(
            "num_nonnulls(merchant_id, user_id) >= 1"
            " OR kind IN ('mail_resent', 'job_retried', 'job_cleared', 'jobs_cleared')",
            name="subject",
        ),
        Index("ix_operator_acts_merchant_id_id", "merchant_id", "id", postgresql_where=text("merchant_id IS NOT NULL")),
        Index("ix_operator_acts_user_id_id", "user_id", "id", postgresql_where=text("user_id IS NOT NULL")),
    )
