"""Businesses for the operators: the list, one business, and the decisions about it."""

from typing import Final

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.errors import NotFound
from portal.reports.operations import merchants as reports
from portal.reports.operations.merchants import MerchantDetails
from portal.services.operations import approvals, merchant_deactivations
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page
from portal.web.operations.decisions import Decision, ask, decide, press
from portal.web.respond import page

bp = Blueprint("operator_merchants", __name__, url_prefix="/operator/merchants")

PAGE_LENGTH: Final = 30


@bp.get("")
@needs("operate")
def index() -> ResponseReturnValue:
    """Businesses, newest first. ?state=waiting lists those that wait for approval."""
    query = ListQuery()
    state, search = query.choice("state", reports.STATES), query.text("search")
    return list_page(
        query,
        lambda: reports.list_merchants(state=state, search=search, limit=PAGE_LENGTH, cursor=query.cursor),
        rows="rows",
        page="operations/people/merchants_index.html",
        fragment="operations/people/_merchants_list.html",
        states=reports.STATES,
    )


@bp.get("/<int:merchant_id>")
@needs("operate")
def show(merchant_id: int) -> Response:
    """One business: its people, names alike, and the acts on it."""
    return page("operations/people/merchants_show.html", details=_find(merchant_id))


@bp.post("/<int:merchant_id>/approve")
@rate_limits.writing
@needs("operate")
def approve(merchant_id: int) -> Response:
    """Approve the business. Its drafts become plans."""
    details = _find(merchant_id)
    return press(
        lambda: approvals.approve(merchant_id, actor=my_actor()),
        _("%(name)s is approved. Its owners are told.", name=details.merchant.business_name),
        _page_of(merchant_id),
    )


@bp.get("/<int:merchant_id>/decline")
@needs("operate")
def ask_to_decline(merchant_id: int) -> Response:
    """The page that says what declining means, with the form for the reason."""
    return ask(_declining(_find(merchant_id)))


@bp.post("/<int:merchant_id>/decline")
@rate_limits.writing
@needs("operate")
def decline(merchant_id: int) -> Response:
    """Decline the business."""
    return decide(
        _declining(_find(merchant_id)),
        lambda reason: approvals.decline(merchant_id, actor=my_actor(), reason=reason),
    )


@bp.get("/<int:merchant_id>/deactivate")
@needs("operate")
def ask_to_deactivate(merchant_id: int) -> Response:
    """The page that says what a deactivation means, with the form for the reason."""
    return ask(_deactivating(_find(merchant_id)))


@bp.post("/<int:merchant_id>/deactivate")
@rate_limits.writing
@needs("operate")
def deactivate(merchant_id: int) -> Response:
    """Deactivate the business."""
    return decide(
        _deactivating(_find(merchant_id)),
        lambda reason: merchant_deactivations.deactivate(merchant_id, actor=my_actor(), reason=reason),
    )


@bp.get("/<int:merchant_id>/reactivate")
@needs("operate")
def ask_to_reactivate(merchant_id: int) -> Response:
    """The page that says what a reactivation means, with the form for the reason."""
    return ask(_reactivating(_find(merchant_id)))


@bp.post("/<int:merchant_id>/reactivate")
@rate_limits.writing
@needs("operate")
def reactivate(merchant_id: int) -> Response:
    """Reactivate the business."""
    return decide(
        _reactivating(_find(merchant_id)),
        lambda reason: merchant_deactivations.reactivate(merchant_id, actor=my_actor(), reason=reason),
    )


def _find(merchant_id: int) -> MerchantDetails:
    details = reports.find(merchant_id)
    if details is None:
        raise NotFound()
    return details


def _page_of(merchant_id: int) -> str:
    return url_for("operator_merchants.show", merchant_id=merchant_id)


def _declining(details: MerchantDetails) -> Decision:
    return Decision(
        title=_("Decline this business?"),
        subject=details.merchant.business_name,
        about=[
            ngettext(
                "Its %(num)s draft stays a draft, and nothing is sent to anybody.",
                "Its %(num)s drafts stay drafts, and nothing is sent to anybody.",
                details.drafts,
            ),
            _("Its owners are told the reason. You can still approve it later."),
        ],
        button=_("Decline"),
        back=_page_of(details.merchant.id),
        done=_("The business is declined. Its owners are told."),
    )


def _deactivating(details: MerchantDetails) -> Decision:
    return Decision(
        title=_("Deactivate this business?"),
        subject=details.merchant.business_name,
        about=[
            ngettext(
                "Customers can't pay its %(num)s open plan, and are told whom to ask.",
                "Customers can't pay its %(num)s open plans, and are told whom to ask.",
                details.open_plans,
            ),
            _("It makes no plans. Automatic payments, reminders and all mails but receipts and refunds stand still."),
            _("Payments at the gateway are settled as usual. Refunds that its members ask for wait for your release."),
            ngettext(
                "Its %(num)s member can sign in and read. Its owners are told the reason, and can object.",
                "Its %(num)s members can sign in and read. Its owners are told the reason, and can object.",
                len(details.members),
            ),
        ],
        button=_("Deactivate business"),
        back=_page_of(details.merchant.id),
        done=_("The business is deactivated. Its owners are told."),
    )


def _reactivating(details: MerchantDetails) -> Decision:
    return Decision(
        title=_("Reactivate this business?"),
        subject=details.merchant.business_name,
        about=[
            _("Plans, payments and reminders go on. Reminders that were missed meanwhile are not made up for."),
            _("What became late meanwhile is late. Refunds that wait for your release go on waiting."),
        ],
        button=_("Reactivate business"),
        back=_page_of(details.merchant.id),
        done=_("The business is active again. Its owners are told."),
        danger=False,
    )
