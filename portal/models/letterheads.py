"""Letterheads: the words of receipts and statements about a business beside its name."""

from typing import Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model, db
from portal.models.columns import Instant, is_one_line

LogoType = Literal["png", "jpeg"]
LOGO_TYPES: tuple[LogoType, ...] = get_args(LogoType)
MAX_LOGO_BYTES = 64 * 1024


class Letterhead(Model):
    """The letterhead of a business. A text that is not given is "". `address` has up to six lines.

    `logo` is an image that Qist encoded itself, `logo_width` by `logo_height` pixels; it is read on its own. Another
    logo has another `logo_version`.
    """

    __tablename__ = "letterheads"

    merchant_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("merchants.id"), primary_key=True, autoincrement=False
    )
    address: Mapped[str] = mapped_column(String(300), default="")
    tax_number: Mapped[str] = mapped_column(String(40), default="")
    email: Mapped[str] = mapped_column(String(254), default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    logo: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    logo_type: Mapped[LogoType | None] = mapped_column(
        Enum(*LOGO_TYPES, name="logo_type", native_enum=False, create_constraint=True)
    )
    logo_width: Mapped[int | None] = mapped_column(SmallInteger)
    logo_height: Mapped[int | None] = mapped_column(SmallInteger)
    logo_version: Mapped[str | None] = mapped_column(String(16))
    updated_at: Mapped[Instant]

    __table_args__ = (
        CheckConstraint(
            "address !~ '[\\u0001-\\u0009\\u000B-\\u001F\\u007F-\\u009F\\u2028-\\u202E\\u2066-\\u2069]'", name="address"
        ),
        CheckConstraint(is_one_line("tax_number"), name="tax_number"),
        CheckConstraint("email = '' OR position('@' in email) > 1", name="email"),
        CheckConstraint("phone = '' OR phone ~ '^[+(]?[0-9][0-9 ().-]*$'", name="phone"),
        CheckConstraint(f"octet_length(logo) BETWEEN 1 AND {MAX_LOGO_BYTES}", name="logo"),
        CheckConstraint(
            "num_nulls(logo, logo_type, logo_width, logo_height, logo_version) IN (0, 5)", name="logo_whole"
        ),
        CheckConstraint("logo_width BETWEEN 1 AND 600 AND logo_height BETWEEN 1 AND 240", name="logo_size"),
    )

    @classmethod
    def of(cls, merchant_id: int) -> "Letterhead | None":
        """The letterhead of the business without the bytes of its logo; None before it is first saved."""
        return db.session.get(cls, merchant_id)
