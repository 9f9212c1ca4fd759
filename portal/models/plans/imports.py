"""Imports: files of plans or customers from a spreadsheet, and contacts, who have no plan of the business yet."""

from datetime import timedelta
from typing import Any, Final, Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Enum,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.domain import clock
from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Grams, Id, Instant, UserId, is_one_line

ImportKind = Literal["plans", "customers"]
IMPORT_KINDS: tuple[ImportKind, ...] = get_args(ImportKind)
MAX_ROWS: Final = 5_000
"""Rows of a file."""
KEPT_FOR: Final = timedelta(hours=24)
"""The time that a file has until it is imported. Then it is deleted."""


class Import(Model):
    """A file of a business, and what it became.

    `content` is the text of the file until `carried_out_at`, for the person who sent it alone (`created_by`); retention
    deletes the row after KEPT_FOR. `matching` says which column holds which field. `num_rows` are the lines of the
    file, `num_known` those of its people who were customers of the business when it was carried out.
    `discarded_at`: its drafts that were no plans yet were deleted.
    """

    __tablename__ = "imports"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    created_by: Mapped[UserId]
    kind: Mapped[ImportKind] = mapped_column(
        Enum(*IMPORT_KINDS, name="kind", native_enum=False, create_constraint=True)
    )
    file_name: Mapped[str] = mapped_column(String(200))
    content: Mapped[str | None] = mapped_column(Text, deferred=True)
    matching: Mapped[dict[str, Any]] = mapped_column(JSONB)
    num_rows: Mapped[int]
    num_known: Mapped[int | None]
    created_at: Mapped[Instant]
    carried_out_at: Mapped[Instant | None]
    discarded_at: Mapped[Instant | None]

    creator: Mapped[User] = relationship()

    __table_args__ = (
        CheckConstraint(
            "(content IS NULL) = (carried_out_at IS NOT NULL) AND (num_known IS NULL) = (carried_out_at IS NULL)",
            name="carried_out",
        ),
        CheckConstraint("discarded_at IS NULL OR carried_out_at IS NOT NULL", name="discarded"),
        CheckConstraint(f"num_rows BETWEEN 1 AND {MAX_ROWS}", name="num_rows"),
        Index("ix_imports_merchant_id_id", "merchant_id", "id"),
        Index("ix_imports_waiting_created_at", "created_at", postgresql_where=text("content IS NOT NULL")),
    )

    @staticmethod
    def visible_to(merchant_id: int, user_id: int) -> ColumnElement[bool]:
        """The imports of this business; a file that waits is visible to the person who sent it alone, for KEPT_FOR."""
        waits = (Import.created_by == user_id) & (Import.created_at > clock.now() - KEPT_FOR)
        return (Import.merchant_id == merchant_id) & or_(Import.carried_out_at.is_not(None), waits)


class Contact(Model):
    """The words of a business about an email of which it has no plan. The first plan for the email takes them over."""

    __tablename__ = "contacts"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    email_key: Mapped[str] = mapped_column(String(254))
    email: Mapped[str] = mapped_column(String(254))
    import_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("imports.id"))
    name: Mapped[str | None] = mapped_column(String(200))
    phone: Mapped[str | None] = mapped_column(String(40))
    note: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[Instant]
    grams: Mapped[Grams]

    __table_args__ = (
        UniqueConstraint("merchant_id", "email_key", name="uq_contacts_merchant_id_email_key"),
        CheckConstraint(f"name <> '' AND {is_one_line('name')}", name="name"),
        CheckConstraint(f"note <> '' AND {is_one_line('note')}", name="note"),
        CheckConstraint("phone ~ '^[+(]?[0-9][0-9 ().-]*$'", name="phone"),
        Index("ix_contacts_email_key", "email_key"),
        Index("ix_contacts_grams", "grams", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
        Index("ix_contacts_import_id_email_key", "import_id", "email_key"),
    )
