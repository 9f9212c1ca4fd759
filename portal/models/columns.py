"""Column types and conditions shared by several tables."""

from datetime import datetime
from typing import Annotated, Any, Final

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    ScalarSelect,
    String,
    column,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import mapped_column

Id = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
Minor = Annotated[int, mapped_column(BigInteger)]
"""An amount in minor units of the row's currency."""
Currency = Annotated[str, mapped_column(String(3))]
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
_CUSTOMERS: Final = table(
    "customers", column("merchant_id", BigInteger), column("user_id", BigInteger), column("name", String)
)
Grams = Annotated[list[int], mapped_column(ARRAY(BigInteger), deferred=True, server_default=text("'{}'::bigint[]"))]
"""The words that a search finds the row by. Triggers keep it (models/guards/search)."""
UserId = Annotated[int, mapped_column(BigInteger, ForeignKey("users.id"))]


def is_one_line(column: str) -> str:
    """SQL: the text of this column has no character that domain/typed_text.py refuses."""
    return f"{column} !~ '[\\u0001-\\u001F\\u007F-\\u009F\\u2028-\\u202E\\u2066-\\u2069]'"


def pair_name(merchant_id: Any, customer_id: Any) -> ScalarSelect[str | None]:
    """The name that this business gave this person: NULL without one. It costs no query of its own."""
    theirs = (_CUSTOMERS.c.merchant_id == merchant_id, _CUSTOMERS.c.user_id == customer_id)
    return select(_CUSTOMERS.c.name).where(*theirs).correlate_except(_CUSTOMERS).scalar_subquery()
