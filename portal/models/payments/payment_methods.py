"""Saved payment methods: the gateway's token, the brand and the last four digits. Never a card number."""

from sqlalchemy import BigInteger, BindParameter, CheckConstraint, ForeignKey, Index, Select, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Id, Instant


class PaymentMethod(Model):
    """A card at the gateway. The row of a removed card stays, because payments refer to it."""

    __tablename__ = "payment_methods"

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    token: Mapped[str] = mapped_column(String(64), unique=True)
    brand: Mapped[str] = mapped_column(String(40))
    last4: Mapped[str] = mapped_column(String(4))
    created_at: Mapped[Instant]
    removed_at: Mapped[Instant | None]

    __table_args__ = (
        CheckConstraint("last4 ~ '^[0-9]{4}$'", name="last4"),
        Index("ix_payment_methods_customer_id_id", "customer_id", "id", postgresql_where=text("removed_at IS NULL")),
    )

    @staticmethod
    def of_customer(customer_id: int | BindParameter[int]) -> Select["PaymentMethod"]:
        """A customer's usable methods, newest first."""
        return (
            select(PaymentMethod)
            .where(PaymentMethod.customer_id == customer_id, PaymentMethod.removed_at.is_(None))
            .order_by(PaymentMethod.id.desc())
        )
