"""Mails to the customer about other days that the business proposes. `data` of the mail: `proposal_id`."""

from datetime import timedelta

from flask_babel import gettext as _

from portal.domain import clock, money
from portal.extensions import db
from portal.models import Email, Plan, RescheduleProposal
from portal.reports.plans import proposals
from portal.reports.plans.proposals import DueAmount
from portal.services.mail.facts import Facts, NoLongerTrue, link_for, notice, plan_of, purchase
from portal.wording import dates
from portal.wording.causes import typed_words
from portal.wording.lists import listed


def reschedule_proposed(row: Email) -> Facts:
    """The proposal, with what is to pay before and after it, while the customer may answer it."""
    plan, rows = plan_of(row.plan_id)
    proposal = _proposal(row)
    if proposals.state_of(proposal, plan, rows) != "open":
        raise NoLongerTrue("proposal_over")
    who = _who(plan)
    last_day = clock.local_date(proposal.expires_at - timedelta(seconds=1), plan.time_zone)
    paragraphs = [
        _("%(merchant)s asks whether you pay this plan on other days: %(purchase)s.", **who),
        *_before_and_after(plan, proposal, _("You would pay: %(schedule)s.")),
        _("Nothing changes unless you agree. You can answer until %(day)s.", day=dates.long_day(last_day)),
    ]
    quote = typed_words(proposal.reason) if plan.customer.is_claimed else None
    told = notice(
        title=_("%(merchant)s asks you for other days", **who),
        preview=_("Nothing changes unless you agree."),
        paragraphs=paragraphs,
        plan=plan,
        quote=quote,
        button=_("Look at the days"),
    )
    return told | link_for(row, "url", f"/plans/{plan.id}/proposal", below="/proposal")


def reschedule_accepted(row: Email) -> Facts:
    """The confirmation of the customer's agreement, with the text that was accepted."""
    plan, _rows = plan_of(row.plan_id)
    proposal, who = _proposal(row), _who(plan)
    told = notice(
        title=_("You agreed to other days of %(merchant)s", **who),
        preview=purchase(plan),
        paragraphs=[_("You agreed to this:"), *(proposal.terms or "").splitlines()],
        plan=plan,
    )
    return told | link_for(row, "url", f"/plans/{plan.id}")


def reschedule_withdrawn(row: Email) -> Facts:
    """The business took its proposal back."""
    plan, _rows = plan_of(row.plan_id)
    if plan.state != "active":
        raise NoLongerTrue("plan_closed")
    who = _who(plan)
    told = notice(
        title=_("%(merchant)s asks for other days no more", **who),
        preview=_("Your days stay as they are."),
        paragraphs=[
            _("%(merchant)s took back the other days for this plan: %(purchase)s.", **who),
            _("Your days stay as they are."),
        ],
        plan=plan,
    )
    return told | link_for(row, "url", f"/plans/{plan.id}")


def _proposal(row: Email) -> RescheduleProposal:
    return db.session.get_one(RescheduleProposal, row.data["proposal_id"], populate_existing=True)


def _who(plan: Plan) -> dict[str, str]:
    return {"merchant": plan.merchant.business_name, "purchase": purchase(plan)}


def _before_and_after(plan: Plan, proposal: RescheduleProposal, after_words: str) -> list[str]:
    before, after = proposals.before_and_after(proposal)
    return [
        str(_("Now you pay: %(schedule)s.", schedule=_schedule(plan, before))),
        str(after_words) % {"schedule": _schedule(plan, after)},
    ]


def _schedule(plan: Plan, rows: tuple[DueAmount, ...]) -> str:
    return listed(
        [
            str(
                _(
                    "%(amount)s on %(day)s",
                    amount=money.show(part.amount, plan.currency),
                    day=dates.long_day(part.due_date),
                )
            )
            for part in rows
        ]
    )
