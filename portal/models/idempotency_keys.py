"""Idempotency keys: requests that were carried out, with their stored replies."""

from typing import Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Index, LargeBinary, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Instant

IdempotencyState = Literal["running", "done"]
IDEMPOTENCY_STATES: tuple[IdempotencyState, ...] = get_args(IdempotencyState)


class IdempotencyKey(Model):
    """A key of one caller for one method and address. The row is written in the transaction of the request's effect."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    scope: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    state: Mapped[IdempotencyState] = mapped_column(
        Enum(*IDEMPOTENCY_STATES, name="state", native_enum=False, create_constraint=True), default="running"
    )
    payment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payments.id"))
    refund_group: Mapped[str | None] = mapped_column(String(32))
    reply_status: Mapped[int | None] = mapped_column(SmallInteger)
    reply_body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[Instant]

    __table_args__ = (
        CheckConstraint("(reply_status IS NULL) = (reply_body IS NULL)", name="reply"),
        CheckConstraint("reply_status IS NULL OR state = 'done'", name="reply_when_done"),
        Index("ix_idempotency_keys_created_at", "created_at"),
        Index("ix_idempotency_keys_payment_id", "payment_id"),
        Index("ix_idempotency_keys_refund_group", "refund_group", postgresql_where=text("refund_group IS NOT NULL")),
    )
