"""Mails about the agreement on a plan: made, accepted, disputed, withdrawn."""

from datetime import datetime

from flask_babel import gettext as _

from portal.domain import clock, money
from portal.extensions import db
from portal.models import Acceptance, Dispute, Email, Installment, Plan, User
from portal.reports.plans.figures import plan_figures
from portal.services.agreements import acceptances, disputes
from portal.services.mail.facts import (
    PLAN_NOTICE,
    Facts,
    NoLongerTrue,
    link_for,
    mail_kind,
    notice,
    plan_of,
    progress,
    purchase,
)
from portal.wording import dates
from portal.wording.causes import typed_words
from portal.wording.lazy import lazy_pgettext
from portal.wording.terms import terms_lines

"""The template of the mails that are a title, paragraphs and a button."""


@mail_kind("plan_made", lazy_pgettext("kind of mail", "Plan made"))
def plan_made(row: Email) -> Facts:
    """A new plan, with its terms. It asks for acceptance where that is needed, and says how to dispute."""
    plan, rows = plan_of(row.plan_id)
    if plan.state != "active":
        raise NoLongerTrue("plan_closed")
    if plan.accepted_at is not None or plan.disputed:
        raise NoLongerTrue("plan_answered")
    customer = db.session.get_one(User, plan.customer_id)
    links = link_for(row, "plan_url", f"/plans/{plan.id}")
    return (
        progress(rows)
        | _amounts(plan)
        | {
            "asks": plan.is_asked,
            "lapses": _day(plan, plan.lapses_at) if plan.lapses_at is not None else None,
            "installments": plan.num_installments,
            "terms": _terms(plan, rows, customer),
            "dispute_url": f"{links['plan_url']}/dispute" if plan.may_dispute else None,
        }
        | links
    )


@mail_kind("plan_accepted", lazy_pgettext("kind of mail", "Plan accepted"))
def plan_accepted(row: Email) -> Facts:
    """The confirmation of an acceptance, with the terms that were accepted."""
    plan, rows = plan_of(row.plan_id)
    kept = db.session.get_one(Acceptance, plan.id)
    return (
        progress(rows)
        | _amounts(plan)
        | {
            "accepted_on": _day(plan, kept.accepted_at),
            "by_paying": kept.way == "payment",
            "terms": kept.terms.splitlines(),
        }
        | link_for(row, "plan_url", f"/plans/{plan.id}")
    )


@mail_kind("plan_disputed", lazy_pgettext("kind of mail", "Plan disputed"), template=PLAN_NOTICE)
def plan_disputed(row: Email) -> Facts:
    """The confirmation of a dispute."""
    plan, _rows = plan_of(row.plan_id)
    who = {"merchant": plan.merchant.business_name, "purchase": purchase(plan)}
    return notice(
        title=_("You said that a plan is not yours"),
        preview=_("%(merchant)s was told.", **who),
        paragraphs=[
            _("You said that this plan of %(merchant)s is not yours: %(purchase)s.", **who),
            _("You get no reminders of it, and nothing of it is collected. %(merchant)s was told, and so was the "
              "operator of this site.", **who),
            _("%(merchant)s cancels the plan, corrects its email or answers you. We write to you then.", **who),
            _("%(merchant)s can make no new plan for you until you allow it on your account’s page.", **who),
        ],
        plan=plan,
    ) | link_for(row, "url", f"/plans/{plan.id}")  # fmt: skip


@mail_kind("dispute_answered", lazy_pgettext("kind of mail", "Dispute answered"), template=PLAN_NOTICE)
def dispute_answered(row: Email) -> Facts:
    """The business's answer to a dispute."""
    plan, _rows = plan_of(row.plan_id)
    dispute = db.session.get_one(Dispute, row.data["dispute_id"])
    if dispute.ended_at is not None or dispute.answered_at is None or dispute.insisted_at is not None:
        raise NoLongerTrue("dispute_over")
    who = {"merchant": plan.merchant.business_name, "purchase": purchase(plan)}
    until = _day(plan, disputes.decidable_at(dispute))
    return notice(
        title=_("%(merchant)s answered you", **who),
        preview=_("Accept the plan, or say again that it is not yours."),
        paragraphs=[
            _("You said that this plan of %(merchant)s is not yours: %(purchase)s. They answered:", **who),
            _("Until %(day)s you can accept the plan, or say again that it is not yours. After that the operator of "
              "this site decides.", day=until),
        ],
        plan=plan,
        quote=typed_words(dispute.answer),
        button=_("Answer"),
    ) | link_for(row, "url", f"/plans/{plan.id}")  # fmt: skip


@mail_kind("dispute_ended", lazy_pgettext("kind of mail", "Dispute ended"), template=PLAN_NOTICE)
def dispute_ended(row: Email) -> Facts:
    """The end of a dispute, for the customer."""
    plan, _rows = plan_of(row.plan_id)
    who = {"merchant": plan.merchant.business_name, "purchase": purchase(plan)}
    words = {
        "cancelled": _("%(merchant)s cancelled the plan that you said is not yours: %(purchase)s. You owe nothing of "
                       "it.", **who),
        "void": _("The operator of this site decided about the plan of %(merchant)s that you said is not yours: "
                  "%(purchase)s. It is void, and you owe nothing of it.", **who),
        "stands": _("The operator of this site decided about the plan of %(merchant)s that you said is not yours: "
                    "%(purchase)s. It stands, and its amounts are due on their days.", **who),
    }  # fmt: skip
    dispute = db.session.get_one(Dispute, row.data["dispute_id"])
    if dispute.outcome not in words:
        raise NoLongerTrue("dispute_over")
    return notice(
        title=_("The question about your plan is settled"),
        preview=_("A plan of %(merchant)s", **who),
        paragraphs=[words[dispute.outcome]],
        plan=plan,
    ) | link_for(row, "url", f"/plans/{plan.id}")


@mail_kind("plan_withdrawn", lazy_pgettext("kind of mail", "Plan withdrawn"), template=PLAN_NOTICE)
def plan_withdrawn(row: Email) -> Facts:
    """The confirmation of a withdrawal."""
    plan, _rows = plan_of(row.plan_id)
    who = {"merchant": plan.merchant.business_name, "purchase": purchase(plan)}
    kept = plan_figures(plan.id).kept
    paragraphs = [_("You withdrew from this plan of %(merchant)s: %(purchase)s. Nothing more of it is due.", **who)]
    if kept:
        amount = money.show(kept, plan.currency)
        paragraphs.append(
            _("You had paid %(amount)s. %(merchant)s was asked to refund it.", amount=amount, merchant=who["merchant"])
        )
    return notice(
        title=_("You withdrew from a plan"),
        preview=_("Nothing more of it is due."),
        paragraphs=paragraphs,
        plan=plan,
    ) | link_for(row, "url", f"/plans/{plan.id}")


def _amounts(plan: Plan) -> Facts:
    return {"purchase": purchase(plan), "total": money.show(plan.total, plan.currency)}


def _terms(plan: Plan, rows: list[Installment], customer: User) -> list[str]:
    return terms_lines(acceptances.terms_of(plan, rows, plan.merchant.business_name, customer.email))


def _day(plan: Plan, instant: datetime) -> str:
    return dates.long_day(clock.local_date(instant, plan.time_zone))
