"""The kinds of mails, and facts that several kinds share: progress, purchase, links, dates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from flask import current_app
from flask_babel import gettext as _
from flask_babel import pgettext
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from portal.domain import money
from portal.extensions import db
from portal.models import Email, Installment, Invitation, Letterhead, Membership, Merchant, Plan, User
from portal.services.plans import invitations

Facts = dict[str, Any]
"""Variables of a mail's templates."""
Sender = tuple[Merchant, str, Letterhead | None]
"""A business, the address for answers to its mails, and its letterhead."""
Builder = TypeVar("Builder", bound=Callable[[Email], "Facts | None"])
PLAN_NOTICE: Final = "plan_notice"
"""The template of a title, paragraphs and a button, for which `notice` has the variables."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of mail. Its builder returns None if the mail has nothing to say.

    `label` names the kind for operators. `of_deactivated_merchants`: it is sent in the name of a deactivated business,
    too. `not_to_customers`: about a plan, to its business or to operators. `to_deactivated_accounts`: a deactivated
    account gets it, as money went back, or for the security of the account.
    """

    builder: Callable[[Email], Facts | None]
    label: str
    template: str
    of_deactivated_merchants: bool = False
    not_to_customers: bool = False
    to_deactivated_accounts: bool = False


KINDS: Final[dict[str, Kind]] = {}
"""By name, once mail/content.py is imported, which imports the builders."""


def mail_kind(name: str, label: str, *, template: str = "", **who: bool) -> Callable[[Builder], Builder]:
    """Decorator of a builder: it builds the mails of this kind. The template has the kind's name unless it has another.

    `who` are the flags of Kind.
    """

    def declare(builder: Builder) -> Builder:
        KINDS[name] = Kind(builder, label, template or name, **who)
        return builder

    return declare


class NoLongerTrue(Exception):
    """This mail must not be sent any more. `code` is the reason; portal/wording/mail_problems.py words it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def sender(merchant_id: int) -> Sender:
    """The business in whose name a mail is sent, the address for answers, and its letterhead, in one statement.

    The address is its first owner's who is not deactivated. If every owner is deactivated: its first owner's.
    """
    query = (
        select(Merchant, User.email, Letterhead)
        .join(Membership, (Membership.merchant_id == Merchant.id) & (Membership.role == "owner"))
        .join(User, User.id == Membership.user_id)
        .outerjoin(Letterhead, Letterhead.merchant_id == Merchant.id)
        .where(Merchant.id == merchant_id)
        .order_by(User.deactivated_at.is_not(None), Membership.created_at, User.id)
    )
    merchant, email, letterhead = db.session.execute(query.limit(1)).one()
    return merchant, email, letterhead


def plan_of(plan_id: int | None) -> tuple[Plan, list[Installment]]:
    """The plan and its installments, read again."""
    plan = db.session.get_one(
        Plan, plan_id, options=[joinedload(Plan.merchant), selectinload(Plan.installments)], populate_existing=True
    )
    return plan, list(plan.installments)


def purchase(plan: Plan) -> str:
    """The plan's description, or words in its place."""
    return description(plan) or str(pgettext("in place of a description", "your purchase"))


def description(plan: Plan) -> str:
    """The business's words about the plan, for a mail. "" while the mailbox may not know the plan: anybody can make a
    plan for a stranger's email. An account knows its plans; a record does once its own link was opened."""
    if plan.customer.is_claimed:
        return plan.description
    opened = select(Invitation.id).where(Invitation.plan_id == plan.id, Invitation.opened_at.is_not(None))
    return plan.description if db.session.scalar(opened.limit(1)) is not None else ""


def known_plans(plans: Sequence[Plan]) -> set[int]:
    """The ids of the plans whose description a mail may have, as `description` decides, in one statement."""
    strangers = [plan.id for plan in plans if not plan.customer.is_claimed]
    opened = select(Invitation.plan_id).where(Invitation.plan_id.in_(strangers), Invitation.opened_at.is_not(None))
    return {plan.id for plan in plans}.difference(strangers).union(db.session.scalars(opened) if strangers else ())


def progress(rows: Sequence[Installment]) -> Facts:
    """The progress bar: each installment's status, and the words below the bar."""
    states = [installment.status for installment in rows]
    paid, late, total = states.count("paid"), states.count("late"), len(states)
    if late:
        words = _("%(paid)s of %(total)s paid, %(late)s late", paid=paid, total=total, late=late)
    else:
        words = _("%(paid)s of %(total)s paid", paid=paid, total=total)
    return {"states": states, "words": words}


def link(path: str) -> str:
    """The absolute URL of a page."""
    return f"{current_app.config['QIST'].public_url}{path}"


def link_for(row: Email, name: str, path: str, *, below: str = "") -> Facts:
    """The URL of `path` under `name`. A recipient without an account gets their invitation link followed by `below`.

    Commits when it reissues an invitation.
    """
    if not db.session.get_one(User, row.user_id).is_claimed:
        invitation = invitations.reissue(row.user_id, plan_id=row.plan_id)
        if invitation is not None:
            return {name: link(f"/invitations/{invitation[1]}{below}"), "secret": (invitation[1],)}
    return {name: link(path)}


def notice(
    *,
    title: str,
    preview: str,
    paragraphs: list[str],
    plan: Plan,
    amount: int | None = None,
    quote: str | None = None,
    button: str | None = None,
) -> Facts:
    """The variables of the template PLAN_NOTICE: a title, an amount, paragraphs and a button.

    `amount` is what the mail is about, in minor units; without it the plan's total.
    """
    return {
        "title": str(title),
        "preview": str(preview),
        "paragraphs": [str(text) for text in paragraphs],
        "quote": quote,
        "amount": money.show(plan.total if amount is None else amount, plan.currency),
        "button": str(button or _("See the plan")),
        "notice_of": None,
    }
