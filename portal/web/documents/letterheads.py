"""The letterhead on receipts and statements, on pages and in files, and its logo for those who read them."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, request, url_for
from flask_babel import gettext as _
from sqlalchemy import select

from portal import access
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Letterhead, Merchant, Plan
from portal.services.plans import invitations
from portal.web.authorization import login_needed, my_actor
from portal.web.documents.sheet import HEADING, SMALL, Sheet
from portal.web.invitations.invitations import closed
from portal.web.respond import confidential

bp = Blueprint("logos", __name__)


@dataclass(frozen=True, slots=True)
class Head:
    """The business as a page shows it. `logo` is an address with the image of `width` by `height` points, or ""."""

    name: str
    address: list[str]
    tax_number: str
    email: str
    phone: str
    logo: str
    width: int
    height: int


def init_app(app: Flask) -> None:
    """Templates ask for the letterhead themselves, so that the views of payments and links need none."""
    app.add_template_global(plan_head)
    app.add_template_global(merchant_head)


@bp.get("/plans/<int:plan_id>/logo")
@login_needed
def of_plan(plan_id: int) -> Response:
    """The logo of the plan's business, for its customer and its team. Raises NotFound without one."""
    return logo_of(access.my_plan(my_actor(), plan_id).merchant_id)


@bp.get("/invitations/<token>/logo")
def of_invitation(token: str) -> Response:
    """The logo of the business of the link's plan."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    return confidential(logo_of(invitation.plan.merchant_id))


def logo_of(merchant_id: int) -> Response:
    """The image. A browser asks each time whether it changed. Raises NotFound."""
    query = select(Letterhead.logo, Letterhead.logo_type, Letterhead.logo_version)
    row = db.session.execute(query.where(Letterhead.merchant_id == merchant_id)).first()
    if row is None or row.logo is None:
        raise NotFound()
    response = Response(row.logo, mimetype=f"image/{row.logo_type}")
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(row.logo_version)
    response.make_conditional(request)
    return response


def plan_head(plan: Plan, token: str | None = None) -> Head:
    """The letterhead of a plan's business; by a link with its `token`."""
    if token is not None:
        return _head(plan.merchant_id, plan.merchant.business_name, "logos.of_invitation", token=token)
    return _head(plan.merchant_id, plan.merchant.business_name, "logos.of_plan", plan_id=plan.id)


def merchant_head(merchant: Merchant) -> Head:
    """The letterhead of the business of the hat."""
    return _head(merchant.id, merchant.business_name, "letterheads.logo")


def _head(merchant_id: int, name: str, endpoint: str, **values: Any) -> Head:
    """The letterhead of a business whose logo has this address. One query."""
    found = Letterhead.of(merchant_id)
    if found is None:
        return Head(name, [], "", "", "", "", 0, 0)
    version = found.logo_version
    logo = url_for(endpoint, v=version, **values) if version else ""
    width, height = (found.logo_width or 0) // 2, (found.logo_height or 0) // 2
    lines = found.address.split("\n") if found.address else []
    return Head(name, lines, found.tax_number, found.email, found.phone, logo, max(width, 1), max(height, 1))


def draw(sheet: Sheet, merchant_id: int, name: str) -> None:
    """The letterhead at the top of a document."""
    found = Letterhead.of(merchant_id)
    logo = found.logo if found is not None else None
    if found is not None and logo is not None:
        sheet.image(logo, found.logo_width or 1, found.logo_height or 1)
    sheet.text(sheet.bdi(name), HEADING)
    if found is None:
        return
    for line in found.address.split("\n") if found.address else []:
        sheet.text(sheet.bdi(line), SMALL)
    if found.tax_number:
        sheet.text(str(_("Tax number %(number)s", number=sheet.bdi(found.tax_number))), SMALL)
    if contact := " · ".join(sheet.bdi(part) for part in (found.email, found.phone) if part):
        sheet.text(contact, SMALL)
    sheet.gap(6)
