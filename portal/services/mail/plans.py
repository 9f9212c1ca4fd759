"""Mails about the agreement on a plan: made, accepted, disputed, withdrawn."""

from datetime import datetime
from typing import Final

from flask_babel import gettext as _

from portal.domain import clock, money
from portal.extensions import db
from portal.models import Acceptance, Dispute, Email, Installment, Plan, User
from portal.reports.plans.figures import plan_figures
from portal.services.agreements import acceptances, disputes
from portal.services.mail.facts import Facts, NoLongerTrue, link, link_for, notice, plan_of, progress, purchase
from portal.wording import dates
from portal.wording.causes import typed_words
from portal.wording.terms import terms_lines

DECISIONS: Final = ("stands", "void")
"""The news of an operator's decision about a dispute."""
NOTICE: Final = "plan_notice"
"""The template of the mails that are a title, paragraphs and a button."""


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
            _("%(merchant)s cancels the plan or answers you. We write to you then.", **who),
            _("%(merchant)s can make no new plan for you until you allow it on your account’s page.", **who),
        ],
        plan=plan,
    ) | link_for(row, "url", f"/plans/{plan.id}")  # fmt: skip


def dispute_answered(row: Email) -> Facts:
    """The business's answer to a dispute."""
    plan, _rows = plan_of(row.plan_id)
    dispute = db.session.get_one(Dispute, plan.id)
    if not plan.disputed or dispute.answered_at is None:
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
    dispute = db.session.get_one(Dispute, plan.id)
    if dispute.outcome not in words:
        raise NoLongerTrue("dispute_over")
    return notice(
        title=_("The question about your plan is settled"),
        preview=_("A plan of %(merchant)s", **who),
        paragraphs=[words[dispute.outcome]],
        plan=plan,
    ) | link_for(row, "url", f"/plans/{plan.id}")


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


def plan_news(row: Email) -> Facts:
    """News of a plan for an owner of its business."""
    plan, _rows = plan_of(row.plan_id)
    customer = db.session.get_one(User, plan.customer_id)
    who = {"customer": plan.pair_name or customer.display_name, "purchase": purchase(plan), "number": plan.id}
    titles = {
        "accepted": _("%(customer)s accepted plan %(number)s", **who),
        "disputed": _("%(customer)s says that plan %(number)s is not theirs", **who),
        "upheld": _("%(customer)s says again that plan %(number)s is not theirs", **who),
        "withdrawn": _("%(customer)s withdrew from plan %(number)s", **who),
        "lapsed": _("Plan %(number)s was not accepted in time", **who),
        "reschedule_accepted": _("%(customer)s agreed to other days for plan %(number)s", **who),
        "reschedule_declined": _("%(customer)s keeps the days of plan %(number)s", **who),
        "reschedule_lapsed": _("%(customer)s did not answer about plan %(number)s", **who),
        "stands": _("Plan %(number)s stands", **who),
        "void": _("Plan %(number)s is void", **who),
    }
    words = {
        "accepted": _("%(customer)s accepted the plan for %(purchase)s. It counts from now on.", **who),
        "disputed": _("%(customer)s says that the plan for %(purchase)s is not theirs. Cancel it, or answer them on "
                      "the plan’s page. Until this is settled nobody is reminded of it and nothing of it is late.",
                      **who),
        "upheld": _("%(customer)s read your answer about %(purchase)s and says again that the plan is not theirs. The "
                    "operator of this site decides now.", **who),
        "withdrawn": _("%(customer)s withdrew from the plan for %(purchase)s, within your days to withdraw. What was "
                       "unpaid is void.", **who),
        "lapsed": _("%(customer)s did not accept the plan for %(purchase)s within 30 days. It is cancelled.", **who),
        "reschedule_accepted": _("%(customer)s agreed to the other days for %(purchase)s. The plan has them now.",
                                 **who),
        "reschedule_declined": _("%(customer)s declined the other days for %(purchase)s. Its days stay as they are.",
                                 **who),
        "reschedule_lapsed": _("%(customer)s did not answer about other days for %(purchase)s in time. Its days stay "
                               "as they are.", **who),
        "stands": _("The operator of this site decided that the plan for %(purchase)s stands. Its amounts are due on "
                    "their days.", **who),
        "void": _("The operator of this site decided that the plan for %(purchase)s is not that of %(customer)s. What "
                  "was unpaid is void.", **who),
    }  # fmt: skip
    news = row.data["news"]
    paragraphs = [words[news]]
    if news in ("withdrawn", "lapsed", "void") and (kept := plan_figures(plan.id).kept):
        paragraphs.append(
            _("You hold %(amount)s of it. Refund what you owe them.", amount=money.show(kept, plan.currency))
        )
    told = notice(title=titles[news], preview=purchase(plan), paragraphs=paragraphs, plan=plan)
    return told | {"url": link(f"/plans/{plan.id}")}


def dispute_notice(row: Email) -> Facts:
    """A dispute or its decision, for an operator. It names the business, and neither the purchase nor the customer."""
    plan, _rows = plan_of(row.plan_id)
    news = row.data["news"]
    ended_by = db.session.get_one(Dispute, plan.id, populate_existing=True).ended_by
    decider = db.session.get_one(User, ended_by).display_name if ended_by is not None and news in DECISIONS else ""
    who = {"merchant": plan.merchant.business_name, "number": plan.id, "operator": decider}
    titles = {
        "disputed": _("A customer disputes plan %(number)s of %(merchant)s", **who),
        "upheld": _("Decide about plan %(number)s of %(merchant)s", **who),
        "stands": _("%(operator)s decided that plan %(number)s of %(merchant)s stands", **who),
        "void": _("%(operator)s decided that plan %(number)s of %(merchant)s is void", **who),
    }
    words = {
        "disputed": _("A customer of %(merchant)s says that a plan is not theirs. The business was told. You may "
                      "decide 14 days after its answer, or after today if it does not answer.", **who),
        "upheld": _("The customer read the answer of %(merchant)s and says again that the plan is not theirs. You "
                    "decide whether it stands.", **who),
        "stands": _("The customer and %(merchant)s are told.", **who),
        "void": _("The customer and %(merchant)s are told. Nothing more of the plan is owed.", **who),
    }  # fmt: skip
    return notice(
        title=titles[news],
        preview=_("A plan of %(merchant)s", **who),
        paragraphs=[words[news]],
        plan=plan,
        button=_("See the disputes"),
    ) | {"url": link("/operator/disputes")}  # fmt: skip


def _amounts(plan: Plan) -> Facts:
    return {"purchase": purchase(plan), "total": money.show(plan.total, plan.currency)}


def _terms(plan: Plan, rows: list[Installment], customer: User) -> list[str]:
    return terms_lines(acceptances.terms_of(plan, rows, plan.merchant.business_name, customer.email))


def _day(plan: Plan, instant: datetime) -> str:
    return dates.long_day(clock.local_date(instant, plan.time_zone))
