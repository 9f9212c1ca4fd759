"""Other days that the business proposes: the customer reads and answers them, the business takes them back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.domain.identifiers import MAX_ID
from portal.domain.permissions import Actor
from portal.errors import NotFound, QistError, Refused
from portal.extensions import db
from portal.models import Installment, Plan, RescheduleProposal
from portal.reports.plans import proposals as reports
from portal.reports.plans.proposals import ProposalFacts
from portal.services.adjustments import proposals
from portal.web import rate_limits
from portal.web.authorization import login_needed, my_actor, needs
from portal.web.confirmations.snapshot import Line
from portal.web.filters import amount
from portal.web.respond import go, page
from portal.wording import dates
from portal.wording.refusals import sentence
from portal.wording.terms import consenting, new_days_lines

bp = Blueprint("proposals", __name__)

DONE: Final = {"accept": "accepted", "decline": "declined", "withdraw": "withdrawn"}
"""The state that each answer leads to."""


@dataclass(frozen=True, slots=True)
class Question:
    """The open proposal on a plan's page. `show` is the address of the proposal, or "" for those who don't answer."""

    proposal: ProposalFacts
    show: str


@bp.get("/plans/<int:plan_id>/proposal")
@login_needed
def show(plan_id: int) -> ResponseReturnValue:
    """The newest proposal with the days before and after, and its buttons while it is open."""
    actor = my_actor()
    plan = access.my_plan(actor, plan_id)
    return proposal_page(plan, url_for("plans.show", plan_id=plan.id), actor=actor)


@bp.post("/plans/<int:plan_id>/proposal/accept")
@rate_limits.writing
@login_needed
def accept(plan_id: int) -> ResponseReturnValue:
    """Agree to the proposal that the page showed."""
    plan = access.owed_plan(my_actor(), plan_id)
    return answer(plan, "accept", url_for("plans.show", plan_id=plan_id), my_actor())


@bp.post("/plans/<int:plan_id>/proposal/decline")
@rate_limits.writing
@login_needed
def decline(plan_id: int) -> ResponseReturnValue:
    """Decline the proposal that the page showed."""
    plan = access.owed_plan(my_actor(), plan_id)
    return answer(plan, "decline", url_for("plans.show", plan_id=plan_id), my_actor())


@bp.post("/plans/<int:plan_id>/proposal/withdraw")
@rate_limits.writing
@needs("credit")
def withdraw(plan_id: int) -> ResponseReturnValue:
    """Take the proposal back that the page showed."""
    plan = access.our_plan(my_actor(), plan_id)
    return answer(plan, "withdraw", url_for("plans.show", plan_id=plan_id), my_actor())


def question_of(plan: Plan, rows: Sequence[Installment], show: str) -> Question | None:
    """The proposal of a plan while it is open. `rows` are the plan's live installments."""
    if plan.open_proposal is None:
        return None
    proposal = reports.facts(plan.open_proposal, plan, rows)
    return Question(proposal, show) if proposal.state == "open" else None


def proposal_page(
    plan: Plan, back: str, *, actor: Actor | None = None, token: str | None = None, refusal: str = "", status: int = 200
) -> Response:
    """The proposal, for its parties. `token` is that of the customer's link. Raises NotFound without a proposal."""
    proposal = reports.newest(plan)
    if proposal is None:
        raise NotFound()
    payer = token is not None or (actor is not None and actor.owes(plan.customer_id))
    row = db.session.get_one(RescheduleProposal, proposal.id)
    context = {"layout": "layout/public.html"} if token is not None else {}
    return page(
        "agreements/proposals_show.html",
        status,
        plan=plan,
        proposal=proposal,
        payer=payer,
        token=token,
        lines=_lines(proposal),
        terms=new_days_lines(proposals.new_days_of(plan, row, plan.merchant.business_name)) if payer else [],
        back=back,
        refusal=refusal,
        **context,
    )


def answer(plan: Plan, how: str, back: str, actor: Actor | None = None, token: str | None = None) -> Response:
    """Accept, decline or withdraw the proposal of the form. A refusal stands on the proposal's page."""
    number = request.form.get("proposal", "")
    proposal_id = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
    if not 0 < proposal_id <= MAX_ID:
        raise NotFound()
    calls: dict[str, Callable[[], object]] = {
        "accept": lambda: proposals.accept(plan.id, proposal_id, customer_id=plan.customer_id, consenting=consenting()),
        "decline": lambda: proposals.decline(plan.id, proposal_id, customer_id=plan.customer_id),
    }
    if actor is not None:
        calls["withdraw"] = lambda: proposals.withdraw(plan.id, proposal_id, actor=actor)
    words = {
        "accept": _("You agreed to the other days. They are in your mail."),
        "decline": _("You declined. Your days stay as they are."),
        "withdraw": _("You took the other days back. Your customer is told."),
    }
    try:
        calls[how]()
    except Refused as refused:
        if (refused.code, refused.about) != ("proposal_closed", DONE[how]):  # else a second click
            return _refused(plan.id, back, actor, token, refused)
    flash(words[how], "success")
    return go(back)


def _refused(plan_id: int, back: str, actor: Actor | None, token: str | None, error: QistError) -> Response:
    plan = db.session.get_one(Plan, plan_id, populate_existing=True)
    return proposal_page(plan, back, actor=actor, token=token, refusal=sentence(error), status=error.status)


def _lines(proposal: ProposalFacts) -> list[Line]:
    """The amount to pay on each day, before and after."""
    before: dict[object, int] = {}
    after: dict[object, int] = {}
    for rows, sums in ((proposal.before, before), (proposal.after, after)):
        for part in rows:
            sums[part.due_date] = sums.get(part.due_date, 0) + part.amount
    days = sorted({part.due_date for part in (*proposal.before, *proposal.after)})
    code = proposal.currency
    return [Line(dates.day(day), amount(before.get(day, 0), code), amount(after.get(day, 0), code)) for day in days]
