"""Idempotency keys: requests that were carried out, with their stored results."""

from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Instant

IdempotencyState = Literal["running", "done"]
IDEMPOTENCY_STATES: tuple[IdempotencyState, ...] = get_args(IdempotencyState)


class IdempotencyKey(Model):
    """A key of one caller for one method and address. The row is written in the transaction of the request's effect.

    `result` is the JSON of services/results.py. A running key has a payment or refunds whose outcomes will finish it.
    """

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
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[Instant]

    __table_args__ = (
        CheckConstraint("(state = 'done') = (result IS NOT NULL)", name="result"),
        Index("ix_idempotency_keys_created_at", "created_at"),
        Index("ix_idempotency_keys_payment_id", "payment_id"),
        Index("ix_idempotency_keys_refund_group", "refund_group", postgresql_where=text("refund_group IS NOT NULL")),
    )
