"""Plans: the list, the form with its preview, and a plan's page."""

from typing import Any

from flask import Blueprint, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.domain import clock, money
from portal.domain.permissions import Actor
from portal.errors import Invalid, KeyReused, NotFound
from portal.extensions import db
from portal.models import Merchant, UsualTerms
from portal.models.plans.plans import CLOSED_BY, PLAN_STATUSES
from portal.reports import live, orders
from portal.reports.exports.plans import export_plans
from portal.reports.merchants import customers as customer_reports
from portal.reports.merchants.filters import CustomerFilters
from portal.reports.paging import Order
from portal.reports.plans import imports as import_reports
from portal.reports.plans import plans as reports
from portal.reports.plans.filters import PlanFilters
from portal.reports.ranges import Between
from portal.services.idempotency import RequestKey
from portal.services.plans import drafts, plans
from portal.services.plans.drafts import PlanDraftFound, PlanDraftSaved
from portal.services.plans.plans import NewPlan, PlanCreated, PlanFound
from portal.web import rate_limits
from portal.web.authorization import login_needed, my_actor, my_merchant, needs
from portal.web.forms import apply_faults
from portal.web.lists.downloads import csv_file
from portal.web.lists.filters import ListQuery, instants_between
from portal.web.lists.list_page import list_page
from portal.web.lists.ranges import past_ranges
from portal.web.lists.sorting import Sorting
from portal.web.one_use_keys import NotDone, carry_out, request_key
from portal.web.plans import plan_page
from portal.web.plans.plan_form import SHOWN_ROWS, PlanForm, Preview, preview_of, read, values_of, without_repeats
from portal.web.respond import fragments, go, is_htmx, page, vary_on_htmx
from portal.wording import labels
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("plans", __name__)

PAGE_LENGTH = 20
CHOICES = 6
"""Customers that the form of a new plan offers."""
STATUSES = (*PLAN_STATUSES, "unaccepted", "disputed", "unopened")
"""The filters of the list: the statuses, and three more of active plans. The last is for merchants alone."""
BROKEN = _l("Please send the form again.")
ALREADY_MADE = _l("A plan was already made from this page. Look at your plans first; press again to make another one.")


@bp.get("/plans")
@login_needed
def index() -> ResponseReturnValue:
    """A merchant's or a customer's plans, newest first."""
    actor, query = my_actor(), ListQuery()
    zone = my_merchant().time_zone if actor.merchant_id is not None else "UTC"
    filters = filters_of(query, zone, merchant=actor.merchant_id is not None)
    sorting = sorting_of(query, merchant=actor.merchant_id is not None)
    tally = reports.tally_plans(actor, filters)
    first, last = query.days()
    return list_page(
        query,
        lambda: reports.list_plans(
            actor, filters, order=sorting.order, limit=PAGE_LENGTH, cursor=query.cursor, tally=tally
        ),
        rows="plans",
        page="plans/index.html",
        fragment="plans/_list.html",
        count=tally.read,
        statuses=STATUSES if actor.merchant_id is not None else STATUSES[:-1],
        sorting=sorting,
        first=first,
        last=last,
        ranges=past_ranges(clock.today(zone), zone),
        closed_by=labels.CLOSED_BY,
        merchant=actor.merchant_id is not None,
    )


@bp.get("/plans.csv")
@needs("export")
def export() -> ResponseReturnValue:
    """All plans of the list, as a file."""
    query = ListQuery()
    filters = filters_of(query, my_merchant().time_zone, merchant=True)
    sorting = sorting_of(query, merchant=True)
    query.require_valid()
    return csv_file("plans", export_plans(my_actor(), filters, sorting.order), my_merchant())


def sorting_of(query: ListQuery, *, merchant: bool) -> Sorting[Order]:
    """The order of the list and of its file. A customer's list is not sorted by its one customer."""
    return Sorting(query, "plans.index", orders.PLANS if merchant else orders.OWN_PLANS, "-made")


def filters_of(query: ListQuery, zone: str, *, merchant: bool) -> PlanFilters:
    """The filters of the list and of its file. A customer's list has no search. Plans are made on days of `zone`."""
    since, until = instants_between(*query.days(), zone)
    return PlanFilters(
        status=query.choice("status", STATUSES if merchant else STATUSES[:-1]),
        closed_by=query.choice("closed_by", CLOSED_BY),
        search=(query.text("search") or None) if merchant else None,
        currency=query.currency(),
        customer_id=query.row("customer") if merchant else None,
        import_id=query.row("import") if merchant else None,
        created=Between(since, until),
    )


@bp.get("/plans/new")
@needs("create_plans")
def new() -> ResponseReturnValue:
    """The form for a new plan."""
    merchant = my_merchant()
    form = PlanForm(**{"start_date": clock.today(merchant.time_zone).isoformat(), **_prefilled(merchant)})
    return _form_page(form, merchant, preview_of(form, merchant))


def _prefilled(merchant: Merchant) -> dict[str, str]:
    """The values of the plan `plan`, the customer `customer` or the imported person `contact` of the address, and of
    its usual terms `terms`.

    Raises NotFound.
    """
    query = ListQuery()
    plan_id, customer_id, terms_id = query.row("plan"), query.row("customer"), query.row("terms")
    contact_id = query.row("contact")
    query.require_valid()
    values = _of_plan_or_customer(plan_id, customer_id)
    if contact_id is not None:
        values |= {"customer_email": access.my_contact(my_actor(), contact_id).email}
    if terms_id is not None:
        terms = _chosen(_usual_terms(merchant), str(terms_id))
        if terms is None:
            raise NotFound("list")
        values |= values_of(terms, clock.today(merchant.time_zone))
    return values


def _usual_terms(merchant: Merchant) -> list[UsualTerms]:
    return list(db.session.scalars(UsualTerms.of_merchant(merchant.id)))


def _chosen(rows: list[UsualTerms], terms_id: str) -> UsualTerms | None:
    """The row of this id. None if it was removed meanwhile."""
    return next((row for row in rows if str(row.id) == terms_id), None)


def _of_plan_or_customer(plan_id: int | None, customer_id: int | None) -> dict[str, str]:
    if plan_id is not None:
        plan = access.our_plan(my_actor(), plan_id)
        values = {
            "total_amount": money.plain(plan.total, plan.currency),
            "num_installments": str(plan.num_installments),
            "interval": plan.interval,
            "description": plan.description,
        }
        return values | ({} if plan.customer.erased_at else {"customer_email": plan.customer.email})
    if customer_id is not None:
        return {"customer_email": access.my_customer(my_actor(), customer_id).email}
    return {}


@bp.get("/plans/customers")
@needs("create_plans")
def customers() -> ResponseReturnValue:
    """The customers that the typed beginning of the form's email means: a fragment for htmx, else the list."""
    typed = ListQuery().text("customer_email")
    if not is_htmx():
        return vary_on_htmx(go(url_for("customers.index", search=typed or None)))
    return vary_on_htmx(fragments(("plans/form/_customer_choices.html", _choices(my_merchant(), typed))))


def _choices(merchant: Merchant, typed: str) -> dict[str, Any]:
    """The variables of the customers to choose from. With the whole email of a customer it is that customer alone."""
    typed = typed.strip()
    if len(typed) < 2:
        return {"customers": [], "contacts": [], "typed": typed}
    whole = customer_reports.list_customers(merchant, CustomerFilters(email=typed), limit=1).items
    contacts = [] if whole else import_reports.list_people(merchant.id, typed, limit=CHOICES).items
    found = whole or customer_reports.list_customers(merchant, CustomerFilters(search=typed), limit=CHOICES).items
    return {
        "customers": [row for row in found if row.user.erased_at is None],
        "contacts": contacts,
        "typed": whole[0].user.email if whole else typed,
    }


@bp.post("/plans/preview")
@needs("create_plans")
def preview() -> ResponseReturnValue:
    """The schedule of the values typed so far: a fragment for htmx, else the form's page.

    The button of usual terms fills in their values first. What else was typed stays.
    """
    merchant = my_merchant()
    form = PlanForm()
    if "terms" in request.form and (terms := _chosen(_usual_terms(merchant), request.form["terms"])) is not None:
        form.fill(values_of(terms, clock.today(merchant.time_zone)))
    shown = preview_of(form, merchant)
    if "more_rows" in request.form:
        form.add_rows(SHOWN_ROWS)
    if is_htmx():
        context = {"preview": shown, "merchant": merchant}
        return fragments(
            ("plans/form/_preview.html", context),
            ("plans/form/_submit_label.html", context),
            ("plans/form/_result_line.html", context),
        )
    return _form_page(form, merchant, shown)


@bp.get("/plans/preview")
@needs("create_plans")
def preview_again() -> ResponseReturnValue:
    """A reload of the preview's address leads back to the form."""
    return go(url_for("plans.new"))


@bp.post("/plans")
@rate_limits.writing
@needs("create_plans")
def create() -> ResponseReturnValue:
    """Create the plan, once for each form."""
    merchant = my_merchant()
    form = PlanForm()
    actor = my_actor()
    new_plan, faults = read(form, merchant)
    if not form.validate():
        if form.key.errors:
            form.renew_key(BROKEN)
        return _form_page(form, merchant, preview_of(form, merchant), 422)
    key = request_key(actor.user_id, f"POST /plans as {actor.merchant_id}", form.key.data, new_plan)
    opened = carry_out(lambda: _save(actor, new_plan, key), {})
    if isinstance(opened, NotDone):
        if isinstance(opened.error, Invalid):
            faults = form.take_row_faults(without_repeats([*faults, *opened.error.faults]))
            if faults:
                apply_faults(form, Invalid(*faults))
        elif isinstance(opened.error, KeyReused):
            form.renew_key(ALREADY_MADE)
        elif opened.error.code == "too_many_drafts":
            form.form_errors.append(opened.message)
        else:
            raise opened.error
        return _form_page(form, my_merchant(), preview_of(form, my_merchant()), 422)
    if isinstance(opened, PlanDraftSaved | PlanDraftFound):
        flash(_("Draft saved. It becomes a plan once your business is approved."), "success")
        return go(url_for("drafts.index"))
    flash(_("Plan created."), "success")
    return go(url_for("plans.show", plan_id=opened.plan_id))


def _save(
    actor: Actor, new_plan: NewPlan, key: RequestKey
) -> PlanCreated | PlanFound | PlanDraftSaved | PlanDraftFound:
    """Open the plan; for a business that waits for approval, save a draft."""
    if actor.standing == "draft":
        return drafts.save(actor, new_plan, request_key=key)
    return plans.open_plan(actor, new_plan, request_key=key)


@bp.get("/plans/<int:plan_id>")
@login_needed
def show(plan_id: int) -> ResponseReturnValue:
    """One plan, for its merchant and its customer."""
    actor = my_actor()
    plan, version = access.my_plan_with(actor, plan_id, live.version_of_plan())
    shown = plan_page.context(plan, actor, plan_page.take_note())
    return page(
        "plans/show.html",
        **shown,
        plan_links=plan_page.links_of(plan, actor, request.args.get("ask", "")),
        may_correct_email=plan_page.may_correct_email(plan, actor),
        version=version,
    )


def _form_page(form: PlanForm, merchant: Merchant, preview: Preview, status: int = 200) -> ResponseReturnValue:
    today = clock.today(merchant.time_zone)
    return page(
        "plans/new.html",
        status,
        form=form,
        merchant=merchant,
        preview=preview,
        today=today.isoformat(),
        usual_terms=[(row, values_of(row, today)) for row in _usual_terms(merchant)],
        **_choices(merchant, form.customer_email.data or ""),
    )
