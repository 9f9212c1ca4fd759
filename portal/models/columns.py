"""Column types and conditions shared by several tables."""

from datetime import datetime
from typing import Annotated

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, String
from sqlalchemy.orm import mapped_column

Id = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
Minor = Annotated[int, mapped_column(BigInteger)]
"""An amount in minor units of the row's currency."""
Currency = Annotated[str, mapped_column(String(3))]
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
UserId = Annotated[int, mapped_column(BigInteger, ForeignKey("users.id"))]


def is_one_line(column: str) -> str:
    """SQL: the text of this column has no character that domain/typed_text.py refuses."""
    return f"{column} !~ '[\\u0001-\\u001F\\u007F-\\u009F\\u2028-\\u202E\\u2066-\\u2069]'"
