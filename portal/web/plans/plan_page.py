"""The context of a plan's page. The page and its fragments share it, so a swapped fragment agrees with the rest."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from flask import Response, current_app, session, url_for
from sqlalchemy import select

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import Email, Installment, Invitation, Plan
from portal.reports.merchants import chasing
from portal.reports.parameters import PLAN
from portal.reports.plans import links as plan_links
from portal.reports.plans import plans as reports
from portal.reports.plans.figures import figures_of, plan_figures
from portal.services.plans import customer_emails, invitations
from portal.web import respond
from portal.web.agreements.acceptances import addresses, agreement_of
from portal.web.agreements.proposals import question_of
from portal.web.labels import state_of
from portal.web.method_labels import methods_of
from portal.web.plans import event_sentences
from portal.web.plans.sharing import Sharing, sharing

_INSTALLMENTS: Final = (
    select(Installment).where(Installment.plan_id == PLAN).order_by(Installment.due_date, Installment.number)
)
NOTE: Final = "note"
"""The session cookie's key of a stored note."""


@dataclass(frozen=True, slots=True)
class Note:
    """The outcome of the last step, shown beside the button that was pressed. kind: success, error, warn or info.

    `place` is where that button stood: "headline", "row", or "" when the page asked by itself. `changed`: the button's
    amount is no longer what is owed on the installment.
    """

    installment_id: int
    kind: str
    text: str
    payment_id: int | None = None
    place: str = ""
    changed: bool = False

    @property
    def takes_focus(self) -> bool:
        """The text is a refusal that a press led to. A screen reader reads it on focus, not from the live region."""
        return self.place != "" and self.kind != "success"

    def belongs_to_headline(self, first: Installment | None) -> bool:
        """The note is a refusal that belongs into a page's headline. `first`: the installment shown there."""
        if self.kind == "success" or self.place == "row":
            return False
        return self.place != "" or (first is not None and first.id == self.installment_id)


def keep_note(note: Note) -> None:
    """Store a note for the next page, in the session cookie."""
    session[NOTE] = asdict(note)


def take_note() -> Note | None:
    """Remove and return the note that `keep_note` stored."""
    stored = session.pop(NOTE, None)
    return Note(**stored) if stored else None


def context(plan: Plan, viewer: Actor, note: Note | None = None) -> dict[str, Any]:
    """The variables of the plan's templates. `payer` is true for the plan's customer and shows the buttons."""
    rows = list(db.session.scalars(_INSTALLMENTS, {"plan_id": plan.id}))
    installments = [row for row in rows if row.moved < row.amount]
    states = [state_of(row) for row in installments]
    note = note if note and any(row.id == note.installment_id for row in installments) else None
    filled = [row.number for row in installments if note and note.kind == "success" and row.id == note.installment_id]
    payments, refunds = reports.payments_of(plan.id)
    payer = viewer.owes(plan.customer_id)
    upcoming = next((row for row in installments if row.is_open), None)
    has_all = len(payments) < reports.NEWEST_PAYMENTS
    figures = figures_of(plan, rows, payments) if has_all else plan_figures(plan.id)
    paid_by = {
        part.installment_id: payment.id
        for payment in reversed(payments)
        if payment.state == "succeeded"
        for part in payment.allocations
    }
    events = reports.timeline_of(plan.id, private=not payer)
    muted, reminded_at = (False, None) if payer else chasing.of_plan(plan)
    return {
        "plan": plan,
        "payer": payer,
        "agreement": agreement_of(plan, installments, addresses(plan.id) if payer else None),
        "question": question_of(plan, installments, url_for("proposals.show", plan_id=plan.id)),
        "methods": methods_of(viewer.user_id) if payer else [],
        "muted_customer": muted,
        "reminded_at": reminded_at,
        "figures": figures,
        "refunds": refunds,
        "installments": installments,
        "states": states,
        "checking": "checking" in states or figures.in_flight is not None,
        "upcoming": upcoming,
        "payments": payments,
        "receipts": paid_by,
        "events": event_sentences.entries(events, plan, installments, viewer, payments),
        "note": note,
        "failed": note if note and note.belongs_to_headline(upcoming) else None,
        "new": filled or None,
    }


ASKS: Final = ("renew-pay", "revoke-pay", "mail-again", "revoke-mailed")
"""The acts on links that ask for confirmation, in the address of the plan's page for browsers without JavaScript."""


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a plan that work now. `pay_url` is the pay link's address; no page shows the customer's link.

    `mail` brought the customer's link (None once it is deleted), `opened_at` is when its newest link was opened. `ask`
    is the one of ASKS that the page asks about, or "".
    """

    pay: Invitation | None
    pay_url: str | None
    customer: Invitation | None
    mail: Email | None
    opened_at: datetime | None
    ask: str
    sharing: Sharing | None


def links_of(plan: Plan, viewer: Actor, ask: str = "") -> Links | None:
    """The links that the viewer may renew and revoke, while the customer has no account."""
    settled = plan.customer.is_claimed or plan.customer.erased_at is not None
    if settled or not viewer.may("invite") or viewer.owes(plan.customer_id):
        return None
    newest = plan_links.links_of(plan)
    pay, customer = (link if plan_links.works(link) else None for link in (newest.pay, newest.customer))
    address = pay_url(pay)
    return Links(
        pay=pay,
        pay_url=address,
        customer=customer,
        mail=newest.mail,
        opened_at=newest.customer.opened_at if newest.customer is not None else None,
        ask=ask if ask in ASKS else "",
        sharing=sharing(address, plan.merchant.business_name) if address is not None else None,
    )


def pay_url(link: Invitation | None) -> str | None:
    """The address of a pay link; None without one, or when it was made under another SECRET_KEY."""
    token = invitations.token_of(link) if link is not None else None
    base: str = current_app.config["QIST"].public_url
    return base + url_for("invitations.show", token=token) if token is not None else None


def may_correct_email(plan: Plan, viewer: Actor) -> bool:
    """Whether the page offers the viewer to correct the plan's email."""
    is_theirs = viewer.may("create_plans") and not viewer.owes(plan.customer_id)
    return is_theirs and customer_emails.may_be_corrected(plan)


def parts(shown: dict[str, Any], installment_id: int, *, status: int = 200, every_row: bool = False) -> Response:
    """One installment's row and the page's other parts that depend on it.

    `every_row` sends the other rows too: their buttons come and go with a payment that is being checked, and after a
    refusal any of them may be out of date.
    """
    row = next(row for row in shown["installments"] if row.id == installment_id)
    others = [
        ("installments/_installment.html", {**shown, "installment": other})
        for other in shown["installments"]
        if every_row and other.id != installment_id
    ]
    return respond.fragments(
        ("installments/_installment.html", {**shown, "installment": row}),
        ("plans/_summary.html", shown),
        ("payments/_of_plan.html", shown),
        ("plans/_timeline.html", shown),
        ("plans/_announcement.html", shown),
        *others,
        status=status,
    )
