"""Texts that people typed about a plan's money. Append-only rows point to them, so that a text can be erased."""

from typing import Any, Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Enum,
    ForeignKey,
    String,
    UniqueConstraint,
    case,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Id, Instant, is_one_line

TextKind = Literal["reason", "reference", "answer"]
TEXT_KINDS: tuple[TextKind, ...] = get_args(TextKind)


class TypedText(Model):
    """A reason, a reference or the answer to a dispute.

    Erasing sets `text` to NULL, which is the only change that the guard permits.
    """

    __tablename__ = "texts"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    kind: Mapped[TextKind] = mapped_column(Enum(*TEXT_KINDS, name="kind", native_enum=False, create_constraint=True))
    text: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[Instant]

    __table_args__ = (
        UniqueConstraint("plan_id", "id"),
        CheckConstraint(f"text <> '' AND {is_one_line('text')}", name="text"),
    )


def typed_text(text_id: Any) -> ColumnElement[str | None]:
    """The text with the id in this column: "" without an id, NULL for an erased text. It costs no query of its own."""
    text = select(TypedText.text).where(TypedText.id == text_id).correlate_except(TypedText).scalar_subquery()
    return case((text_id.is_(None), ""), else_=text)
