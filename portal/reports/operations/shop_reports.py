"""Reports of unknown shops, for the operator's page. They hold no words of a plan and no email of a customer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from portal.extensions import db
from portal.models import Merchant, ShopReport

MAX_LISTED: Final = 20
"""The most reports that the page lists. The count includes all of them."""


@dataclass(frozen=True, slots=True)
class OpenReport:
    """A report that no operator has cleared. `of_shop` counts all reports about its shop, cleared ones included."""

    id: int
    business: str
    created_at: datetime
    of_shop: int


def open_reports() -> tuple[list[OpenReport], int]:
    """The oldest open reports, at most MAX_LISTED, and the number of all open ones."""
    other = aliased(ShopReport)
    of_shop = select(func.count(other.id)).where(other.merchant_id == ShopReport.merchant_id).scalar_subquery()
    rows = db.session.execute(
        ShopReport.open()
        .join(Merchant, Merchant.id == ShopReport.merchant_id)
        .with_only_columns(
            ShopReport.id, Merchant.business_name, ShopReport.created_at, of_shop, func.count().over().label("open")
        )
        .limit(MAX_LISTED)
    ).all()
    return [OpenReport(*row[:4]) for row in rows], rows[0].open if rows else 0
