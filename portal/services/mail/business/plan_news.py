"""Mails about a plan to its business and to operators: taken back by the bank, accepted, disputed, withdrawn."""

from typing import Final

from flask_babel import gettext as _

from portal.domain import money
from portal.extensions import db
from portal.models import Dispute, Email, Payment, Plan, User
from portal.models.notices import Notice
from portal.reports.plans.figures import plan_figures
from portal.services.mail.business.digests import business_purchase, reader_facts
from portal.services.mail.facts import PLAN_NOTICE, Facts, NoLongerTrue, link, mail_kind, notice, plan_of
from portal.services.mail.payments import is_won, paid_on, payment_of
from portal.services.notices import readers
from portal.services.notices.readers import News
from portal.wording.lazy import lazy_pgettext

DECISIONS: Final = ("stands", "void")
"""The news of an operator's decision about a dispute."""


@mail_kind(
    "bounce_notice",
    lazy_pgettext("kind of mail", "Payment bounced, to the business"),
    template=PLAN_NOTICE,
    not_to_customers=True,
)
def bounce_notice(row: Email) -> Facts:
    """A payment that the bank took back, or gave back, for an owner or manager of its business."""
    payment = payment_of(row)
    plan, _rows = plan_of(payment.plan_id)
    foot = _reader_facts(row, plan, "bounced")
    if row.data.get("won"):
        return _won_notice(payment, plan) | foot
    if payment.state != "reversed" or is_won(payment):
        raise NoLongerTrue("payment_stands")
    customer = db.session.get_one(User, plan.customer_id)
    who = {
        "customer": plan.pair_name or customer.display_name,
        "purchase": business_purchase(plan),
        "amount": money.show(payment.reversed or payment.lost, plan.currency),
    }
    paragraphs = [
        _("The bank took a payment of %(customer)s for %(purchase)s back: %(amount)s. It was paid on %(day)s.",
          **who, day=paid_on(payment, plan)),
        _("You had refunded it before, so nothing is owed again. That is booked as a loss.") if not payment.reversed
        else _("The plan is cancelled, so nothing is owed again.") if plan.cancelled_at is not None
        else _("What it had paid is to pay again.") if customer.deactivated_at is not None
        else _("What it had paid is to pay again, and %(customer)s was told.", **who),
    ]  # fmt: skip
    if payment.lost and payment.reversed:
        lost = money.show(payment.lost, plan.currency)
        paragraphs.append(_("The bank took %(amount)s more than you still had of it. That is booked as a loss.",
                            amount=lost))  # fmt: skip
    if row.data.get("stopped"):
        paragraphs.append(_("Automatic payment of this plan stopped."))
    return (
        notice(
            title=_("The bank took a payment of %(amount)s back", **who),
            preview=business_purchase(plan),
            paragraphs=paragraphs,
            plan=plan,
            amount=payment.reversed or payment.lost,
        )
        | {"url": link(f"/plans/{plan.id}")}
        | foot
    )


def _won_notice(payment: Payment, plan: Plan) -> Facts:
    """`payment` is the one of the money that came back; the reversed one if only a loss came back."""
    customer = db.session.get_one(User, plan.customer_id)
    lost = payment if payment.wins_back_id is None else db.session.get_one(Payment, payment.wins_back_id)
    if payment is not lost and payment.state != "succeeded":
        raise NoLongerTrue("payment_reversed")
    again = payment.amount if payment is not lost else 0
    given = again + lost.regained
    not_owed = sum(part.returned for part in payment.allocations) if payment is not lost else 0
    who = {
        "customer": plan.pair_name or customer.display_name,
        "purchase": business_purchase(plan),
        "amount": money.show(given, plan.currency),
    }
    paragraphs = [
        _("The dispute about a payment of %(customer)s for %(purchase)s was won, and the bank gave back what it had "
          "taken: %(amount)s. It was paid on %(day)s.", **who, day=paid_on(lost, plan)),
    ]  # fmt: skip
    if again > not_owed:
        paragraphs.append(
            _("%(amount)s of it counts as paid again.", amount=money.show(again - not_owed, plan.currency))
        )
    if not_owed:
        paragraphs.append(_("%(amount)s of it was not owed any more, and is refunded to %(customer)s.",
                            customer=who["customer"], amount=money.show(not_owed, plan.currency)))  # fmt: skip
    if lost.regained:
        paragraphs.append(_("%(amount)s of it had been booked as a loss, which it lowers.",
                            amount=money.show(lost.regained, plan.currency)))  # fmt: skip
    told = notice(
        title=_("The bank gave %(amount)s back", **who),
        preview=business_purchase(plan),
        paragraphs=paragraphs,
        plan=plan,
        amount=given,
    )
    return told | {"url": link(f"/plans/{plan.id}")}


@mail_kind("plan_news", lazy_pgettext("kind of mail", "News of a plan"), template=PLAN_NOTICE, not_to_customers=True)
def plan_news(row: Email) -> Facts:
    """News of a plan for an owner or manager of its business."""
    plan, _rows = plan_of(row.plan_id)
    news: News = row.data["news"]
    foot = _reader_facts(row, plan, readers.NOTICE_OF[news])
    _check_news(row, plan, news)
    customer = db.session.get_one(User, plan.customer_id)
    who = {"customer": plan.pair_name or customer.display_name, "purchase": business_purchase(plan), "number": plan.id}
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
        "disputed": _("%(customer)s says that the plan for %(purchase)s is not theirs. Answer them, correct the email "
                      "if it is wrong, or cancel the plan, on its page. Until this is settled nobody is reminded of it "
                      "and nothing of it is late.", **who),
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
    paragraphs = [words[news]]
    if news in ("withdrawn", "lapsed", "void") and (kept := plan_figures(plan.id).kept):
        paragraphs.append(
            _("You hold %(amount)s of it. Refund what you owe them.", amount=money.show(kept, plan.currency))
        )
    told = notice(title=titles[news], preview=business_purchase(plan), paragraphs=paragraphs, plan=plan)
    return told | {"url": link(f"/plans/{plan.id}")} | foot


@mail_kind(
    "dispute_notice",
    lazy_pgettext("kind of mail", "Dispute, to the operator"),
    template=PLAN_NOTICE,
    not_to_customers=True,
)
def dispute_notice(row: Email) -> Facts:
    """A dispute or its decision, for an operator. It names the business, and neither the purchase nor the customer."""
    plan, _rows = plan_of(row.plan_id)
    news: News = row.data["news"]
    _check_dispute(row, news)
    ended_by = _dispute_of(row).ended_by
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


def _reader_facts(row: Email, plan: Plan, what: Notice) -> Facts:
    """The foot of a notice. Raises NoLongerTrue if its reader is told nothing of the kind any more."""
    if not readers.wants(row.user_id, plan.merchant_id, what):
        raise NoLongerTrue("not_wanted")
    return reader_facts(row.user_id, plan.merchant_id, plan.merchant.business_name, what)


def _check_news(row: Email, plan: Plan, news: News) -> None:
    """Raises NoLongerTrue if the piece of news is overtaken by another."""
    if news == "accepted" and (plan.cancelled_at is not None or plan.disputed or plan.accepted_at is None):
        raise NoLongerTrue("plan_closed")
    if news.startswith("reschedule_") and plan.state != "active":
        raise NoLongerTrue("plan_closed")
    if news in ("withdrawn", "lapsed") and plan.cancelled_at is None:
        raise NoLongerTrue("plan_closed")
    if news == "disputed" and _dispute_of(row).answered_at is not None:
        raise NoLongerTrue("dispute_over")
    _check_dispute(row, news)


def _check_dispute(row: Email, news: News) -> None:
    if news in ("disputed", "upheld") and _dispute_of(row).ended_at is not None:
        raise NoLongerTrue("dispute_over")
    if news in DECISIONS and _dispute_of(row).outcome != news:
        raise NoLongerTrue("dispute_over")


def _dispute_of(row: Email) -> Dispute:
    """The dispute that the mail is about, which need not be the newest of its plan."""
    return db.session.get_one(Dispute, row.data["about"], populate_existing=True)
