"""Plans: the list, the form with its preview, and a plan's own page."""

from typing import Any

from flask import Blueprint, current_app, flash, session, url_for
from flask.typing import ResponseReturnValue

from portal import access
from portal.domain import clock
from portal.errors import Invalid
from portal.models import Merchant, Plan
from portal.models.plans.plans import PLAN_STATUSES
from portal.reports import exports
from portal.reports.paging import Page
from portal.reports.plans import plans as reports
from portal.services import idempotency
from portal.services.idempotency import KeyReused, RequestKey
from portal.services.plans import plans
from portal.web import rate_limits
from portal.web.forms import apply_faults
from portal.web.guards import login_needed, me, my_merchant, role_needed
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery
from portal.web.plans import plan_page
from portal.web.plans.plan_form import PlanForm, Preview, preview_of, read, without_repeats
from portal.web.respond import fragment_or_page, fragments, go, is_htmx, page

bp = Blueprint("plans", __name__)

PAGE_LENGTH = 20
SORTS = {"": "Newest first", "oldest": "Oldest first", "due": "Next due first"}
LINK = "claim_link"
BROKEN = "Please send the form again."
ALREADY_MADE = "A plan was already made from this page. Look at your plans first; press again to make another one."


@bp.get("/plans")
@login_needed
def index() -> ResponseReturnValue:
    """A merchant's or a customer's plans, newest first."""
    user, asked = me(), ListQuery()
    wanted = wanted_of(asked, merchant=user.role == "merchant")
    sort = asked.choice("sort", SORTS)
    found: Page[Plan] = Page([], None)
    if not asked.wrong:
        try:
            found = reports.list_plans(
                user,
                **wanted,
                newest_first=sort != "oldest",
                next_due_first=sort == "due",
                limit=PAGE_LENGTH,
                cursor=asked.cursor,
            )
        except Invalid:
            asked.wrong = True
    return fragment_or_page(
        "plans/_list.html",
        "plans/index.html",
        400 if asked.wrong else 200,
        plans=found.items,
        next_cursor=found.next_cursor,
        wrong=asked.wrong,
        asked=asked.kept,
        cursor=asked.cursor,
        statuses=PLAN_STATUSES,
        sorts=SORTS,
        merchant=user.role == "merchant",
    )


@bp.get("/plans.csv")
@role_needed("merchant")
def export() -> ResponseReturnValue:
    """All plans of the list, as a file."""
    asked = ListQuery()
    wanted = wanted_of(asked, merchant=True)
    asked.choice("sort", SORTS)
    return csv_file("plans", exports.plans(me(), **asked.right(wanted)), my_merchant())


def wanted_of(asked: ListQuery, *, merchant: bool) -> dict[str, Any]:
    """Which plans an address asks for; its file has the same ones."""
    return {
        "status": asked.choice("status", PLAN_STATUSES),
        "search": asked.text("search") if merchant else None,
        "currency": asked.currency(),
    }


@bp.get("/plans/new")
@role_needed("merchant")
def new() -> ResponseReturnValue:
    """The form for a new plan."""
    merchant = my_merchant()
    form = PlanForm(start_date=clock.today(merchant.time_zone).isoformat())
    return _form_page(form, merchant, preview_of(form, merchant))


@bp.post("/plans/preview")
@role_needed("merchant")
def preview() -> ResponseReturnValue:
    """The schedule of what is typed so far: beside the form for htmx, on the same page without it."""
    merchant = my_merchant()
    form = PlanForm()
    shown = preview_of(form, merchant)
    if is_htmx():
        context = {"preview": shown, "merchant": merchant}
        return fragments(("plans/_preview.html", context), ("plans/_submit_label.html", context))
    return _form_page(form, merchant, shown)


@bp.get("/plans/preview")
@role_needed("merchant")
def preview_again() -> ResponseReturnValue:
    """Somebody reloaded the preview's address: back to the form."""
    return go(url_for("plans.new"))


@bp.post("/plans")
@rate_limits.writing
@role_needed("merchant")
def create() -> ResponseReturnValue:
    """Make the plan, once for each form."""
    merchant = my_merchant()
    form = PlanForm()
    merchant_id = merchant.user_id
    asked, faults = read(form, merchant)
    if not form.validate():
        if form.key.errors:
            form.renew_key(BROKEN)
        return _form_page(form, merchant, preview_of(form, merchant), 422)
    try:
        request_key = RequestKey(
            merchant_id,
            "POST /plans",
            form.key.data or "",
            idempotency.fingerprint(asked),
            render=lambda opened: (303, str(opened.plan_id).encode()),
        )
        opened = plans.open_plan(merchant_id, asked, request_key=request_key)
    except Invalid as invalid:
        apply_faults(form, Invalid(*without_repeats([*faults, *invalid.faults])))
        return _form_page(form, my_merchant(), preview_of(form, my_merchant()), 422)
    except KeyReused:
        form.renew_key(ALREADY_MADE)
        return _form_page(form, my_merchant(), preview_of(form, my_merchant()), 422)
    if opened.replay is not None:
        return go(url_for("plans.show", plan_id=int(opened.replay.body or b"0")))
    if opened.invitation_token is not None:
        keep_link(opened.plan_id, opened.invitation_token)
    flash("Plan created.", "success")
    return go(url_for("plans.show", plan_id=opened.plan_id))


@bp.get("/plans/<int:plan_id>")
@login_needed
def show(plan_id: int) -> ResponseReturnValue:
    """One plan, for its merchant and for its customer."""
    user = me()
    plan = access.my_plan(user, plan_id)
    shown = plan_page.context(plan, user, plan_page.take_note())
    return page(
        "plans/show.html", **shown, invitation=plan_page.link_of(plan, user), link=_take_link(plan_id), now=clock.now()
    )


def keep_link(plan_id: int, token: str) -> None:
    """Hand a claim link to the next showing of its plan, in the signed session cookie, never in an address."""
    session[LINK] = [plan_id, token]


def _take_link(plan_id: int) -> str | None:
    kept = session.get(LINK)
    if not kept or kept[0] != plan_id:
        return None
    del session[LINK]
    base: str = current_app.config["QIST"].public_url
    return base + url_for("invitations.show", token=kept[1])


def _form_page(form: PlanForm, merchant: Merchant, preview: Preview, status: int = 200) -> ResponseReturnValue:
    return page("plans/new.html", status, form=form, merchant=merchant, preview=preview, today=_today(merchant))


def _today(merchant: Merchant) -> str:
    return clock.today(merchant.time_zone).isoformat()
