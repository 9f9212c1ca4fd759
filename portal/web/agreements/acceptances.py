"""The customer accepts a plan, and what every page of a plan shows about its agreement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, flash, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.domain import clock
from portal.errors import Refused
from portal.models import Dispute, Installment, Plan
from portal.services.agreements import acceptances, disputes
from portal.web import rate_limits
from portal.web.authorization import login_needed, my_actor
from portal.web.respond import go
from portal.wording.refusals import sentence
from portal.wording.terms import accepting, terms_lines

bp = Blueprint("acceptances", __name__)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the customer answers: by the account or by the link in their mails. None: not possible from here."""

    accept: str
    dispute: str
    uphold: str
    withdraw: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """The part of a plan's page about acceptance, dispute and withdrawal.

    `terms` are lines, for a customer who is asked. `until` is the instant of the operator's decision, and `withdraw_by`
    the end of the right to withdraw, while it lasts.
    """

    dispute: Dispute | None
    terms: list[str]
    until: datetime | None
    withdraw_by: datetime | None
    to: Addresses | None


@bp.post("/plans/<int:plan_id>/acceptance")
@rate_limits.writing
@login_needed
def create(plan_id: int) -> ResponseReturnValue:
    """Accept the plan."""
    plan = access.owed_plan(my_actor(), plan_id)
    report(plan.customer_id, plan_id)
    return go(url_for("plans.show", plan_id=plan_id))


def report(customer_id: int, plan_id: int) -> None:
    """Accept the plan for its customer, and flash what came of it."""
    try:
        acceptances.accept(plan_id, customer_id=customer_id, accepting=accepting())
    except Refused as refused:
        flash(sentence(refused), "warn")
    else:
        flash(_("You accepted the plan. Its terms are in your mail."), "success")


def addresses(plan_id: int) -> Addresses:
    """The addresses of a customer who is signed in."""
    return Addresses(
        accept=url_for("acceptances.create", plan_id=plan_id),
        dispute=url_for("disputes.new", plan_id=plan_id),
        uphold=url_for("disputes.uphold", plan_id=plan_id),
        withdraw=url_for("withdrawals.new", plan_id=plan_id),
    )


def agreement_of(plan: Plan, installments: Sequence[Installment], to: Addresses | None) -> Agreement:
    """The agreement on a plan. `to` is None for its business."""
    dispute = Dispute.of_plan(plan.id) if plan.disputed else None
    must_answer = to is not None and (plan.is_asked or plan.disputed)
    facts = acceptances.terms_of(plan, installments, plan.merchant.business_name, plan.customer.email)
    ends = plan.withdrawal_ends_at
    return Agreement(
        dispute=dispute,
        terms=terms_lines(facts) if must_answer else [],
        until=disputes.decidable_at(dispute) if dispute is not None else None,
        withdraw_by=ends if ends is not None and ends > clock.now() else None,
        to=to,
    )
