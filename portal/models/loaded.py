"""Rows of the session from values that a statement without the ORM has read or written."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy.orm import make_transient_to_detached

from portal.extensions import Model, db

M = TypeVar("M", bound=Model)


def loaded(model: type[M], values: Mapping[str, Any]) -> M:
    """The row with these values by attribute, as if the session had read it. Others are read when they are asked for.

    The session must not have the row yet.
    """
    row = model()
    vars(row).update(values)
    make_transient_to_detached(row)
    db.session.add(row)
    return row
