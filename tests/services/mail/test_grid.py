"""Each act for each kind of customer sends the mails of the table in the product's description of mail, and no others.

The table is written here as data. The mails are read as they reach the mail server.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import current_app

from portal.domain import clock
from portal.errors import QistError
from portal.extensions import db
from portal.models import Email, User
from portal.services import events, mail_limits
from portal.services.accounts import accounts
from portal.services.adjustments import cancellations, credits, proposals, reschedules, voids, write_offs
from portal.services.adjustments.reschedules import NewTerms, RescheduleProposed
from portal.services.agreements import disputes, withdrawals
from portal.services.mail import delivery
from portal.services.notices import digests, settings
from portal.services.operations import account_deactivations, merchant_deactivations
from portal.services.payments import automatic, manual_payments, payment_methods, payments, refunds
from portal.services.plans import customer_emails, plans
from portal.services.plans.plans import NewPlan
from portal.services.privacy import erasures
from portal.services.reminders import manual_reminders, mutes
from tests.fixtures import agreements, mails, people
from tests.services.money.rescheduling_steps import CONSENTING

pytestmark = pytest.mark.usefixtures("context")


@dataclass(frozen=True)
class Row:
    """The mails of one act: to the customer, to the business at once, and as a section of its digest."""

    customer: tuple[str, ...] = ()
    business: tuple[str, ...] = ()
    digest: tuple[str, ...] = ()


TABLE = {
    "plan made": Row(("plan_made",)),
    "paid": Row(("receipt",), digest=("received",)),
    "part paid": Row(("receipt",), digest=("received",)),
    "all paid": Row(("receipt", "plan_completed"), digest=("received", "paid in full")),
    "cash received": Row(("receipt",), digest=("received",)),
    "refunded": Row(("refund",), digest=("refund",)),
    "declined": Row(("payment_declined",), digest=("declined",)),
    "automatic payment failed": Row(("payment_declined",), digest=("automatic",)),
    "automatic payment stopped": Row(("automatic_stopped",), digest=("automatic",)),
    "bounced": Row(("payment_reversed",), ("bounce_notice",)),
    "won back": Row(("receipt",), ("bounce_notice",), digest=("received",)),
    "bounced after a refund": Row(("payment_reversed",), ("bounce_notice",)),
    "bounced after its refund": Row((), ("bounce_notice",)),
    "a loss won back": Row((), ("bounce_notice",)),
    "won back and not owed": Row(("receipt", "refund"), ("bounce_notice",), digest=("received", "refund")),
    "voided": Row(("payment_voided",)),
    "credit": Row(("plan_credited",)),
    "write-off": Row(("plan_written_off",)),
    "cancel": Row(("plan_cancelled",)),
    "reschedule": Row(("plan_rescheduled",)),
    "earlier days proposed": Row(("reschedule_proposed",)),
    "earlier days agreed": Row(("reschedule_accepted",), ("plan_news",)),
    "earlier days declined": Row((), ("plan_news",)),
    "earlier days taken back": Row(("reschedule_withdrawn",)),
    "email corrected": Row(("plan_not_yours",)),
    "muted": Row(),
    "accepted": Row(("plan_accepted",), ("plan_news",)),
    "not mine": Row(("plan_disputed",), ("plan_news",)),
    "answered": Row(("dispute_answered",)),
    "withdrawn": Row(("plan_withdrawn",), ("plan_news",)),
    "reminder": Row(("reminder",)),
    "late for a week": Row(digest=("late for a week",)),
    "password changed": Row(("password_changed",)),
}
REFUNDS_AND_RECEIPTS = {"refund", "receipt"}
REFUNDS_AND_SECURITY = {"refund", "password_changed"}
FOR: dict[str, Callable[[set[str]], set[str]]] = {
    "with an account": lambda kinds: kinds,
    "without an account": lambda kinds: {"invitation" if kind == "plan_made" else kind for kind in kinds},
    "muted": lambda kinds: kinds - {"reminder"},
    "disputed": lambda kinds: {"dispute_ended" if kind == "plan_cancelled" else kind for kind in kinds} - {"reminder"},
    "deactivated person": lambda kinds: kinds & REFUNDS_AND_SECURITY,
    "deactivated business": lambda kinds: kinds & REFUNDS_AND_RECEIPTS | kinds & {"password_changed"},
    "erased": lambda kinds: set(),
}
"""The columns. An account's security is no matter of a business. A disputed plan's cancellation is the end of the
dispute, and its mail says so."""
QUICK = ("with an account",)
"""The column that `make test` tries. `make proof-short` tries the others."""
IMPOSSIBLE = {
    ("without an account", "automatic payment failed"), ("without an account", "automatic payment stopped"),
    ("without an account", "password changed"),
    *(("disputed", act) for act in ("plan made", "automatic payment failed", "accepted", "not mine", "answered")),
    *(("disputed", act) for act in ("withdrawn", "late for a week", "reminder", "reschedule")),
    *(("disputed", act) for act in ("automatic payment stopped", "cash received", "credit", "write-off")),
    *(("disputed", act) for act in ("won back and not owed", "email corrected", "earlier days proposed")),
    *(("disputed", f"earlier days {end}") for end in ("agreed", "declined", "taken back")),
    ("muted", "reminder"),
    ("muted", "muted"),
}  # fmt: skip
"""Cells whose act is refused, or means nothing: nobody without an account has a password or a saved card; a dispute
ends automatic payment and keeps the plan from being late, reminded of and moved, and the business only cancels or
answers; a muted customer is not reminded by hand."""
OF_ACCEPTANCE = ("plan made", "accepted", "not mine", "answered", "email corrected")
REFUNDED_FIRST = {"bounced after a refund": 5_00, "bounced after its refund": 20_00, "a loss won back": 20_00}
CARD_PAID = ("refunded", "bounced", "won back", "won back and not owed", *REFUNDED_FIRST)


class Cell:
    """One act for one customer of their own, in Amal's business."""

    def __init__(self, amal: int, column: str, act: str, number: int) -> None:
        self.amal, self.column, self.act = amal, column, act
        self.owner, self.name = people.owner(amal), f"customer-{number}"
        self.email = f"{self.name}@example.com"
        if column != "without an account":
            people.a_customer(self.name)
        self.plan_id = 0 if act == "plan made" else self.a_plan()

    def a_plan(self) -> int:
        first = 0 if self.act in ("late for a week", "automatic payment failed") else 40
        if self.act in OF_ACCEPTANCE:
            with agreements.acceptance(current_app, "required"):
                new = NewPlan(self.email, 40_00, 2, people.today_of(self.amal), "monthly", "A cake")
                return plans.open_plan(self.owner, new).plan_id
        return people.a_plan(self.amal, self.email, total=40_00, count=2, first=first)

    @property
    def customer_id(self) -> int:
        return db.session.scalars(db.select(User.id).where(User.holds_email(self.email))).one()

    def first(self) -> int:
        return people.installments_of(self.plan_id)[0].id

    def prepare(self) -> None:
        """The state before the act."""
        if self.act in CARD_PAID:
            self.payment_id = people.pay(self.first(), self.customer_id).id
        if self.act in REFUNDED_FIRST:
            refunds.refund(self.plan_id, actor=self.owner, amount=REFUNDED_FIRST[self.act], reason="Torn")
        if self.act in ("won back", "a loss won back", "won back and not owed"):
            people.bounce(self.payment_id, 20_00)
        if self.act == "won back and not owed":
            payments.pay_plan(self.plan_id, customer_id=self.customer_id, choice="all", shown=None, method="card_ok")
        if self.act in ("earlier days agreed", "earlier days declined", "earlier days taken back"):
            self.proposal_id = self.propose()
        if self.act == "voided":
            self.payment_id = self.cash()
        if self.act == "answered":
            disputes.dispute(self.plan_id, customer_id=self.customer_id)
        if self.act.startswith("automatic"):
            card = "card_ok" if self.act.endswith("stopped") else "card_insufficient_funds"
            self.method_id = payment_methods.save(self.customer_id, card).method_id
            automatic.turn_on(self.plan_id, customer_id=self.customer_id, method_id=self.method_id)
        if self.column == "muted" and self.plan_id:
            mutes.mute_plan(self.plan_id, actor=self.owner)
        if self.column == "disputed":
            disputes.dispute(self.plan_id, customer_id=self.customer_id)

    def propose(self) -> int:
        terms = NewTerms("shift", days=-7)
        asked = reschedules.reschedule(self.plan_id, actor=self.owner, terms=terms, reason="Pay")
        assert isinstance(asked, RescheduleProposed)
        return asked.proposal.id

    def cash(self) -> int:
        return manual_payments.record(
            self.plan_id, actor=self.owner, amount=20_00, method="cash", received_on=people.today_of(self.amal)
        ).payment_id

    def run(self) -> None:
        if self.act == "plan made":
            self.plan_id = self.a_plan()
            return
        plan, me, owner = self.plan_id, {"customer_id": self.customer_id}, {"actor": self.owner}
        card: dict[str, Any] = {"shown": None, "method": "card_ok", **me}
        acts: dict[str, Callable[[], object]] = {
            "paid": lambda: people.pay(self.first(), self.customer_id),
            "part paid": lambda: payments.pay_plan(plan, choice="amount", amount=5_00, **card),
            "all paid": lambda: payments.pay_plan(plan, choice="all", **card),
            "cash received": self.cash,
            "refunded": lambda: refunds.refund(plan, amount=5_00, reason="Sorry", **owner),
            "declined": lambda: people.pay(self.first(), self.customer_id, "card_declined"),
            "automatic payment failed": automatic.collect_automatic_payments,
            "automatic payment stopped": lambda: payment_methods.remove(self.customer_id, self.method_id),
            "bounced": lambda: people.bounce(self.payment_id),
            "bounced after a refund": lambda: people.bounce(self.payment_id, 20_00),
            "bounced after its refund": lambda: people.bounce(self.payment_id, 20_00),
            "a loss won back": lambda: people.win(self.payment_id),
            "won back and not owed": lambda: people.win(self.payment_id),
            "earlier days proposed": self.propose,
            "earlier days agreed": lambda: proposals.accept(plan, self.proposal_id, consenting=CONSENTING, **me),
            "earlier days declined": lambda: proposals.decline(plan, self.proposal_id, **me),
            "earlier days taken back": lambda: proposals.withdraw(plan, self.proposal_id, **owner),
            "email corrected": lambda: customer_emails.correct(plan, f"right-{self.email}", **owner),
            "muted": lambda: mutes.mute_plan(plan, **owner),
            "won back": lambda: people.win(self.payment_id),
            "voided": lambda: voids.void(self.payment_id, reason="Twice", **owner),
            "credit": lambda: credits.credit(plan, amount=5_00, how="last", reason="Late", **owner),
            "write-off": lambda: write_offs.write_off(plan, reason="Gone", **owner),
            "cancel": lambda: cancellations.cancel(plan, reason="Sold out", **owner),
            "reschedule": lambda: reschedules.reschedule(plan, terms=NewTerms("shift", days=7), reason="Pay", **owner),
            "accepted": lambda: agreements.accept(plan),
            "not mine": lambda: disputes.dispute(plan, **me),
            "answered": lambda: disputes.answer(plan, text="It is", **owner),
            "withdrawn": lambda: withdrawals.withdraw(plan, **me),
            "reminder": lambda: manual_reminders.send_now(plan, **owner),
            "late for a week": lambda: None,
            "password changed": lambda: accounts.change_password(
                self.customer_id, current=people.PASSWORD, new="eleven red kites", keep_session_id=None
            ),
        }
        acts[self.act]()

    def stand(self) -> None:
        """The change between the act and the sending."""
        if self.column == "deactivated person":
            account_deactivations.deactivate(self.customer_id, actor=None, reason="Stolen")
        if self.column == "deactivated business":
            merchant_deactivations.deactivate(self.amal, actor=None, reason="Fraud")
        if self.column == "erased":
            if people.plan_of(self.plan_id).state == "active":
                cancellations.cancel(self.plan_id, actor=self.owner, reason="Erased")
            new = "eleven red kites" if self.act == "password changed" else people.PASSWORD
            erasures.erase(self.customer_id, password=new)


def newest() -> int:
    db.session.rollback()
    return db.session.scalar(db.select(db.func.max(Email.id))) or 0


def send() -> None:
    events.number_new()
    digests.post_due()
    delivery.drain()


def sent_after(mark: int, cell: Cell, amal: int) -> Row:
    """The mails that were sent since, by reader. "account_deactivated" is the standing's own mail."""
    rows = [mail for mail in mails.outbox() if mail.id > mark and mail.state == "sent"]
    person = db.session.scalar(db.select(User.id).where(User.holds_email(cell.email)))
    theirs = {mail.kind for mail in rows if mail.to_user_id == person} - {"account_deactivated"}
    business = {mail.kind for mail in rows if mail.to_user_id == amal and mail.kind in ("plan_news", "bounce_notice")}
    digest = " ".join(mail.subject or "" for mail in rows if mail.kind == "digest")
    words = ("received", "paid in full", "refund", "declined", "automatic", "late for a week")
    return Row(tuple(sorted(theirs)), tuple(sorted(business)), tuple(word for word in words if word in digest))


@pytest.mark.parametrize(
    "column", [column if column in QUICK else pytest.param(column, marks=pytest.mark.long) for column in FOR]
)
def test_an_act_sends_exactly_what_the_table_says(column, catcher, amal, monkeypatch):
    monkeypatch.setattr(mail_limits, "FROM_ONE_BUSINESS", 100)
    monkeypatch.setattr(mail_limits, "IN_ALL", 100)
    monkeypatch.setattr(mail_limits, "NEW_BUSINESS", 100)
    settings.choose(people.owner(amal), on=settings.NOTICES, at_once=True)
    db.session.execute(db.text("UPDATE merchants SET withdrawal_days = 14, sending_hour = 0"))
    db.session.commit()
    wrong = {}
    for number, (act, row) in enumerate(TABLE.items()):
        if (column, act) in IMPOSSIBLE:
            continue
        cell = Cell(amal, column, act, number)
        cell.prepare()
        send()
        mark = newest()
        try:
            cell.run()
        except QistError as refused:
            wrong[act] = repr(refused)
            continue
        cell.stand()
        with time_machine.travel(clock.now() + timedelta(days=8 if act == "late for a week" else 0)):
            send()
        found = sent_after(mark, cell, amal)
        if column == "deactivated business":
            merchant_deactivations.reactivate(amal, actor=None, reason="Cleared")
        customer = tuple(sorted(FOR[column](set(row.customer))))
        told = found.customer, *((found.business, found.digest) if column in TOLD_THE_SAME else ())
        expected = customer, *((row.business, row.digest) if column in TOLD_THE_SAME else ())
        if told != expected:
            wrong[act] = f"{told} and not {expected}"
    assert wrong == {}


TOLD_THE_SAME = ("with an account", "without an account", "muted", "deactivated person")
"""The columns in which the business is told as without them. A disputed plan's end is news of its own; a business that
is deactivated has no lateness; an erasure takes the mails that name the person."""
