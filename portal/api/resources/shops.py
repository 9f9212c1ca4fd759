"""The merchants of a customer: which of them may make plans for this person."""

from flask import Blueprint
from spectree.models import Tag

from portal.api import schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint, list_headers
from portal.domain.identifiers import MAX_ID
from portal.errors import NotFound
from portal.reports import tallies
from portal.reports.plans import shops
from portal.services.plans import pairs

bp = Blueprint("api_shops", __name__)
BLOCK = "/api/shops/<row:merchant_id>/block/"
TAG = Tag("Shops", "The merchants that made plans for a customer.")


@endpoint(bp, "GET", "/api/shops/", ok={200: list[schemas.Shop]}, tag=TAG, needs="customer", forbidden="choose_shops")
def index(query: schemas.PageQuery) -> tuple[list[schemas.Shop], int, dict[str, str]]:
    """List your shops

    Every merchant that made a plan for you, the newest first. The next page is in the Link header.
    """
    page = shops.list_shops(caller().id, limit=query.limit, cursor=query.cursor)
    rows = [schemas.shop(row) for row in page.items]
    return rows, 200, list_headers(query, lambda: tallies.count(shops.find_shops(caller().id)), page.next_cursor)


@endpoint(bp, "PUT", BLOCK, ok={204: None}, tag=TAG, needs="customer", writes=True, forbidden="choose_shops")
def block(merchant_id: int) -> tuple[str, int]:
    """Block a shop

    It makes no new plan for you. Your plans with it go on. A repetition changes nothing.
    """
    pairs.block(_known(merchant_id), user_id=caller().id)
    return "", 204


@endpoint(bp, "DELETE", BLOCK, ok={204: None}, tag=TAG, needs="customer", writes=True, forbidden="choose_shops")
def allow(merchant_id: int) -> tuple[str, int]:
    """Allow a shop to make plans for you again

    After a block, and after a dispute. A repetition changes nothing.
    """
    pairs.allow(_known(merchant_id), user_id=caller().id)
    return "", 204


def _known(merchant_id: int) -> int:
    if merchant_id > MAX_ID:
        raise NotFound()
    return merchant_id
