"""Links of a plan whose customer has no account: the pay link and the customer's link.

The business sees the pay link and passes it on, so it shows the plan and takes payments, no more. Only mails to the
plan's customer carry the customer's link, so whoever holds it reads that mailbox: it also claims the record.

A plan has one link of each kind at a time, and every email about the plan carries the same one: a new link would end
the page that is open in a browser. So the token must be computable again without being stored. It is an HMAC of a
random seed in the row, under SECRET_KEY and the kind; the database alone gives no link.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flask import current_app
from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import joinedload

from portal.domain import clock
from portal.domain.events import InvitationCreated, InvitationOpened, InvitationRevoked
from portal.domain.permissions import Actor
from portal.domain.tokens import digest
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Invitation, Plan, User
from portal.models.plans.invitations import LINK_KINDS, LinkKind
from portal.services import emails, events, mail_limits
from portal.services.accounts import accounts
from portal.services.accounts.accounts import NewAccount
from portal.services.idempotency import RequestKey
from portal.services.plans import plan_lock
from portal.services.results import Result
from portal.services.unit_of_work import unit_of_work

LIFETIME: Final = timedelta(days=30)


def invite(plan: Plan, *, by: int) -> None:
    """Inside a unit of work: create both links of a new plan, and email the customer's."""
    _make(plan, "pay")
    _mail(plan, by=by)


def _mail(plan: Plan, *, by: int) -> Invitation:
    invitation, _ = _make(plan, "customer")
    events.record(InvitationCreated(link="customer"), plan_id=plan.id, by=by)
    emails.post(
        "invitation",
        to_user_id=plan.customer_id,
        merchant_id=plan.merchant_id,
        plan_id=plan.id,
        dedupe_key=f"invitation:{plan.id}:{invitation.id}",
        data={"invitation_id": invitation.id},
    )
    return invitation


@unit_of_work
def reissue(customer_id: int, *, plan_id: int | None = None) -> tuple[int, str] | None:
    """The customer's link to this plan or their newest, extended to LIFETIME from now, for a mail to them.

    A link that lapsed, or was created under another SECRET_KEY, is replaced. A link that the merchant revoked stays
    revoked; only `mail_again` replaces it. Returns the plan's id and the token; None when the customer has claimed
    their record or has no such plan. Refuses: busy.
    """
    revoked = (
        select(Invitation.revoked_at)
        .where(Invitation.plan_id == Plan.id, Invitation.kind == "customer")
        .order_by(Invitation.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    newest = select(Plan.id).where(Plan.customer_id == customer_id, revoked.is_(None))
    if plan_id is not None:
        newest = newest.where(Plan.id == plan_id)
    plan_id = db.session.scalar(newest.order_by((Plan.state == "active").desc(), Plan.id.desc()).limit(1))
    if plan_id is None:
        return None
    token = _reissue(customer_id, [plan_id]).get(plan_id)
    return (plan_id, token) if token is not None else None


@unit_of_work
def reissue_all(customer_id: int, plan_ids: Sequence[int]) -> dict[int, str]:
    """As `reissue`, for several plans in one commit. Returns the tokens by plan id, of plans with a link."""
    return _reissue(customer_id, plan_ids)


def _reissue(customer_id: int, plan_ids: Sequence[int]) -> dict[int, str]:
    """Inside a unit of work. Checks for a revocation after the locks, so no link follows one."""
    plans = [plan for plan in Plan.lock_all(plan_ids) if plan.customer_id == customer_id]
    customer = db.session.get_one(User, customer_id, with_for_update={"read": True}, populate_existing=True)
    if customer.is_claimed or customer.deactivated_at is not None:
        return {}
    last = (
        select(func.max(Invitation.id))
        .where(Invitation.plan_id.in_(plan_ids), Invitation.kind == "customer")
        .group_by(Invitation.plan_id)
    )
    query = (
        select(Invitation).where(Invitation.id.in_(last)).with_for_update().execution_options(populate_existing=True)
    )
    newest = {invitation.plan_id: invitation for invitation in db.session.scalars(query)}
    now, tokens = clock.now(), {}
    for plan in plans:
        invitation = newest.get(plan.id)
        if invitation is not None and invitation.revoked_at is not None:
            continue
        live = invitation is not None and invitation.claimed_at is None and invitation.expires_at > now
        token = token_of(invitation) if invitation is not None and live else None
        if invitation is None or token is None:
            token = _make(plan, "customer")[1]
            events.record(InvitationCreated(link="customer"), plan_id=plan.id, by=None)
        else:
            invitation.expires_at = now + LIFETIME
        tokens[plan.id] = token
    return tokens


def token_of(invitation: Invitation) -> str | None:
    """The token of this link; None when none of the secret keys made it (such a link stays valid)."""
    for secret in current_app.config["QIST"].secret_keys:
        token = _token(secret, invitation.kind, invitation.seed)
        if digest(token) == invitation.token_hash:
            return token
    return None


def _make(plan: Plan, kind: LinkKind) -> tuple[Invitation, str]:
    now, seed = clock.now(), secrets.token_bytes(32)
    for before in db.session.scalars(_open(plan.id, kind).with_for_update()):
        before.revoked_at, before.revoked_for = now, "renewed"
    db.session.flush()
    token = _token(current_app.config["QIST"].secret_keys[0], kind, seed)
    invitation = Invitation(
        plan_id=plan.id, kind=kind, token_hash=digest(token), seed=seed, created_at=now, expires_at=now + LIFETIME
    )
    db.session.add(invitation)
    db.session.flush()
    return invitation, token


def _open(plan_id: int, kind: LinkKind) -> Select[Invitation]:
    """The plan's link of this kind, at most one, that is neither revoked nor claimed; it may have lapsed."""
    open_one = Invitation.revoked_at.is_(None) & Invitation.claimed_at.is_(None)
    query = select(Invitation).where(Invitation.plan_id == plan_id, Invitation.kind == kind, open_one)
    return query.execution_options(populate_existing=True)


@dataclass(frozen=True, slots=True)
class LinkRenewed(Result):
    """A new link of this kind took the place of any before. The plan's page shows a pay link, a mail has the other."""

    kind: LinkKind
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LinkRevoked(Result):
    """The plan has no link of this kind that works."""

    kind: LinkKind


@unit_of_work
def renew_pay_link(plan_id: int, *, actor: Actor, request_key: RequestKey | None = None) -> LinkRenewed:
    """Replace the pay link of a plan whose customer has not claimed their record.

    Refuses: forbidden; own_plan; not_found; already_claimed; erased; idempotency_key_reused; still_running; busy.
    """
    plan = _lock(plan_id, actor)
    invitation, _ = _make(plan, "pay")
    events.record(InvitationCreated(link="pay"), plan_id=plan.id, by=actor.user_id)
    return LinkRenewed("pay", invitation.created_at, invitation.expires_at)


@unit_of_work
def mail_again(plan_id: int, *, actor: Actor, request_key: RequestKey | None = None) -> LinkRenewed:
    """Replace the customer's link of a plan whose customer has not claimed their record, and email the new one.

    Refuses: forbidden; own_plan; not_found; already_claimed; erased; shop_reported (the mailbox does not know the
    business); disputed; Invalid on customer_email (plan_limit, mail_limit); idempotency_key_reused; still_running;
    busy.
    """
    plan = _lock(plan_id, actor)
    if plan.reported_at is not None:
        raise Refused("shop_reported", about="invitation")
    if plan.disputed:
        raise Refused("disputed")
    mail_limits.check_invitation(plan.merchant_id, plan.customer)
    invitation = _mail(plan, by=actor.user_id)
    return LinkRenewed("customer", invitation.created_at, invitation.expires_at)


@unit_of_work
def revoke(plan_id: int, kind: LinkKind, *, actor: Actor, request_key: RequestKey | None = None) -> LinkRevoked:
    """Revoke the plan's link of this kind. A repetition changes nothing.

    Refuses: forbidden; own_plan; not_found; idempotency_key_reused; still_running; busy.
    """
    plan = plan_lock.lock(plan_id, actor, "invite")
    for invitation in db.session.scalars(_open(plan.id, kind).with_for_update()):
        invitation.revoked_at, invitation.revoked_for = clock.now(), "revoked"
        events.record(InvitationRevoked(link=kind), plan_id=plan.id, by=actor.user_id)
    return LinkRevoked(kind)


def end_all(plan: Plan) -> None:
    """Inside a unit of work: end both links of a plan whose email is corrected."""
    now = clock.now()
    for kind in LINK_KINDS:
        for invitation in db.session.scalars(_open(plan.id, kind).with_for_update()):
            invitation.revoked_at, invitation.revoked_for = now, "corrected"
    db.session.flush()


@unit_of_work
def mark_opened(invitation_id: int) -> None:
    """Record that a browser opened this customer's link, once. Refuses: busy."""
    first = update(Invitation).where(
        Invitation.id == invitation_id, Invitation.kind == "customer", Invitation.opened_at.is_(None)
    )
    plan_id = db.session.scalar(first.values(opened_at=clock.now()).returning(Invitation.plan_id))
    if plan_id is not None:
        events.record(InvitationOpened(), plan_id=plan_id, by=None)


def _lock(plan_id: int, actor: Actor) -> Plan:
    """Lock the plan, and then its customer, so that no link outlives a claim."""
    plan = plan_lock.lock(plan_id, actor, "invite")
    customer = db.session.get_one(User, plan.customer_id, with_for_update={"read": True}, populate_existing=True)
    if customer.is_claimed:
        raise Refused("already_claimed")
    if customer.erased_at is not None:
        raise Refused("erased")
    return plan


def find(token: str) -> Invitation | None:
    """The link of this token, of either kind, with its plan; None when it is unknown, claimed, revoked or lapsed.

    One statement reads both: the plan's customer is the one of the link, also when the email is corrected meanwhile.
    """
    query = Invitation.live(digest(token), clock.now()).options(joinedload(Invitation.plan))
    return db.session.scalar(query)


def ended(token: str) -> Invitation | None:
    """The link of this token that was claimed, revoked or lapsed, with its plan; None when the token is unknown."""
    return db.session.scalar(select(Invitation).where(Invitation.token_hash == digest(token)))


def begin_claim(token: str, *, username: str, password: str) -> int:
    """Register for the email of the link's plan. Returns the registration's id.

    Only the customer's link begins a claim: the business sees the pay link. The link claims nothing: the record becomes
    the account of this registration once the registration has proven the email (services/accounts/proofs.py), whose
    mail the caller asks for. Refuses: not_found (a pay link, or the link is unknown, claimed, revoked or lapsed);
    Invalid on username and password; busy.
    """
    invitation = find(token)
    if invitation is None or invitation.kind != "customer":
        raise NotFound("invitation")
    customer = invitation.plan.customer
    if customer.is_claimed:
        raise NotFound("claimed_account")
    return accounts.register(NewAccount("customer", username, customer.email, password))


def _token(secret: str, kind: LinkKind, seed: bytes) -> str:
    key = hmac.digest(secret.encode(), f"invitations.{kind}".encode(), "sha256")
    return base64.urlsafe_b64encode(hmac.digest(key, seed, "sha256")).rstrip(b"=").decode()
