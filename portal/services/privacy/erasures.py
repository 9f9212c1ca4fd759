"""Erasure of a person: what is deleted, what stays as the duty of a business, and what defers it.

The row of the account stays as a tombstone, because plans, payments and events point to it. Its email is a random
placeholder, and it has no username and no password.
"""

import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, Literal

from flask import current_app
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import aliased

from portal.domain import clock
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import (
    Acceptance,
    ApiKey,
    Customer,
    Dispute,
    Email,
    EmailChange,
    EmailProof,
    Erasure,
    FactorRemoval,
    IdempotencyKey,
    Invitation,
    KeptForm,
    Membership,
    Merchant,
    Mute,
    OperatorAct,
    Passkey,
    PasskeyChallenge,
    PasswordReset,
    Payment,
    PaymentMethod,
    Plan,
    RecoveryCode,
    Refund,
    RescheduleProposal,
    SignInCode,
    SignInStep,
    TeamInvitation,
    TokenFamily,
    TotpSecret,
    TypedText,
    User,
    UserSession,
)
from portal.services import security_events
from portal.services.accounts import passwords
from portal.services.privacy import imported, stored_answers
from portal.services.unit_of_work import end_reading, unit_of_work
from portal.services.webhooks import answers

DOMAIN: Final = "erased.invalid"
"""The domain of placeholders. `.invalid` never exists (RFC 2606)."""
DAYS_OF_A_YEAR: Final = 366
UNCLAIMED_DAYS: Final = 30
"""Days after the mail that a plan is not theirs, in which a person without an account may still write to the shop."""
NOT_YOURS: Final = "plan_not_yours"
"""The kind of that mail."""
PEOPLE: Final = 100
"""People without an account whom one run erases."""

Outcome = Literal["erased", "erased_before", "unknown", "still_owner"]


def deferrals(user_id: int) -> list[Refused]:
    """The reasons why this person can't be erased now; an empty list if there is none.

    All have the code erasure_deferred, about: operator; email_changed (the old address may still undo the change);
    open_plans (limit: how many); in_flight (a payment or refund has no outcome yet); last_owner of a business that is
    not closed (facts: merchants).
    """
    user = db.session.get_one(User, user_id)
    reasons = [Refused("erasure_deferred", about="operator")] if user.is_operator else []
    if db.session.scalar(EmailChange.open(clock.now()).where(EmailChange.user_id == user_id)) is not None:
        reasons.append(Refused("erasure_deferred", about="email_changed"))
    open_plans = select(func.count()).where(Plan.customer_id == user_id, Plan.state == "active")
    if count := db.session.scalar(open_plans) or 0:
        reasons.append(Refused("erasure_deferred", about="open_plans", limit=count))
    in_flight = or_(
        exists().where(Payment.customer_id == user_id, Payment.state == "in_flight"),
        exists().where(Refund.customer_id == user_id, Refund.state == "in_flight"),
    )
    if db.session.scalar(select(in_flight)):
        reasons.append(Refused("erasure_deferred", about="in_flight"))
    names = db.session.scalars(
        select(Merchant.business_name)
        .where(Merchant.id.in_(_owned_alone(user_id)), Merchant.closed_at.is_(None))
        .order_by(Merchant.id)
    ).all()
    if names:
        reasons.append(Refused("erasure_deferred", about="last_owner", merchants=list(names)))
    return reasons


def erase(user_id: int, *, password: str) -> None:
    """Erase a person for good. Every sign-in of theirs ends.

    Refuses: not_found; Invalid on password (wrong); erasure_deferred (the first of `deferrals`); busy.
    """
    user = db.session.get(User, user_id)
    if user is None or user.erased_at is not None:
        raise NotFound()
    hashed = user.password_hash
    end_reading()
    if not passwords.verify(password, hashed):
        raise Invalid(Fault("password", "wrong_password"))
    _erase(user_id)


@unit_of_work
def _erase(user_id: int) -> None:
    user = _lock(user_id)
    if user is None or user.erased_at is not None:
        raise NotFound()
    if reasons := deferrals(user_id):
        raise reasons[0]
    _make_tombstone(user, clock.now())


@unit_of_work
def erase_again(user_id: int, created_at: datetime, erased_at: datetime, email_hash: bytes | None = None) -> Outcome:
    """After the restore of an older backup: erase an account that was erased after the backup was made.

    `created_at` and `erased_at` are aware; an account with this id that was created at another instant is another
    person's ("unknown"). What businesses imported about the email of `email_hash` is deleted in any case.
    Nothing defers it. The only owner of a business stays its owner, without a name ("still_owner"). Refuses: busy.
    """
    user = _lock(user_id)
    if email_hash is not None:
        for email_key in imported.keys_of(email_hash):
            imported.forget(email_key, _placeholder())
    if user is None or user.created_at != created_at:
        return "unknown"
    if user.erased_at is not None:
        return "erased_before"
    owned = db.session.scalar(_owned_alone(user_id).limit(1)) is not None
    _make_tombstone(user, erased_at)
    return "still_owner" if owned else "erased"


def listed() -> Iterator[Erasure]:
    """Every erasure, oldest first."""
    yield from db.session.scalars(select(Erasure).order_by(Erasure.erased_at, Erasure.user_id))


@unit_of_work
def purge_retained(limit: int = 10_000) -> int:
    """Delete what stayed of erased people, RETENTION_YEARS after their plan was closed, of at most `limit` plans.

    These are the description, the metadata, the acceptance and the proposals of other days. Amounts and dates stay:
    they are the ledger of the business. Returns the number of plans.
    """
    years: int = current_app.config["QIST"].retention_years
    before = clock.now() - timedelta(days=DAYS_OF_A_YEAR * years)
    accepted = exists().where(Acceptance.plan_id == Plan.id)
    asked = exists().where(RescheduleProposal.plan_id == Plan.id, RescheduleProposal.user_id == Plan.customer_id)
    old = (
        select(Plan.id)
        .join(User, User.id == Plan.customer_id)
        .where(User.erased_at.is_not(None), Plan.closed_at < before)
        .where(or_(Plan.description != "", Plan.notes != {}, accepted, asked))
        .limit(limit)
    )
    ids = list(db.session.scalars(old))
    db.session.execute(delete(Acceptance).where(Acceptance.plan_id.in_(ids)))
    erased = select(User.id).where(User.erased_at.is_not(None))
    theirs = RescheduleProposal.plan_id.in_(ids), RescheduleProposal.user_id.in_(erased)
    db.session.execute(delete(RescheduleProposal).where(*theirs))
    db.session.execute(update(Plan).where(Plan.id.in_(ids)).values(description="", notes={}))
    for table in (Payment, Refund):
        described = table.plan_id.in_(ids), table.notes != {}
        db.session.execute(update(table).where(*described).values(notes={}))
    return len(ids)


@unit_of_work
def purge_unclaimed(limit: int = 10_000) -> int:
    """Erase the emails of people without an account whose plans all went to another email, UNCLAIMED_DAYS after the
    mail that says so.

    They can't ask for an erasure. A person who disputed a plan or blocked a business stays, so that the business makes
    no plan for them; so does what businesses imported about the email. At most PEOPLE of a run. Returns their number.
    """
    users = [_lock(user_id) for user_id in db.session.scalars(_left_over().limit(min(limit, PEOPLE))).all()]
    left = [user for user in users if user is not None and db.session.scalar(_left_over().where(User.id == user.id))]
    for user in left:
        now = clock.now()
        db.session.add(Erasure(user_id=user.id, created_at=user.created_at, erased_at=now))
        db.session.execute(delete(Email).where(Email.to_user_id == user.id))
        user.email = _placeholder()
        user.email_proven_at, user.erased_at, user.deactivated_at = None, now, now
    return len(left)


def _left_over() -> Select[int]:
    """The ids of people without a password, a plan and a membership, whom no block and no bar after a dispute keeps."""
    before, later = clock.now() - timedelta(days=UNCLAIMED_DAYS), aliased(Email)
    told = select(Email.to_user_id).where(Email.kind == NOT_YOURS, Email.ended_at < before)
    told_later = or_(later.ended_at.is_(None), later.ended_at >= before)
    closed = or_(Customer.blocked_at.is_not(None), Customer.barred_at.is_not(None))
    return (
        select(User.id)
        .where(User.id.in_(told), User.password_hash.is_(None))
        .where(User.erased_at.is_(None), User.deactivated_at.is_(None))
        .where(~exists().where(later.to_user_id == User.id, later.kind == NOT_YOURS, told_later))
        .where(~exists().where(Plan.customer_id == User.id), ~exists().where(Membership.user_id == User.id))
        .where(~exists().where(Customer.user_id == User.id, closed))
        .order_by(User.id)
    )


def _lock(user_id: int) -> User | None:
    """The account, locked against a new plan for it."""
    return db.session.get(User, user_id, with_for_update=True, populate_existing=True)


def _owned_alone(user_id: int) -> Select[int]:
    """The ids of the businesses without another owner who can sign in."""
    other, owner = aliased(Membership), aliased(User)
    others = exists().where(
        other.merchant_id == Membership.merchant_id,
        other.role == "owner",
        other.user_id != user_id,
        owner.id == other.user_id,
        owner.deactivated_at.is_(None),
    )
    return select(Membership.merchant_id).where(Membership.user_id == user_id, Membership.role == "owner", ~others)


def _make_tombstone(user: User, erased_at: datetime) -> None:
    email_key, now, placeholder = user.email_key, clock.now(), _placeholder()
    plans = select(Plan.id).where(Plan.customer_id == user.id)
    theirs = update(Plan).where(Plan.customer_id == user.id)  # first, so that what an act on a plan wrote is seen below
    db.session.execute(theirs.values(automatic_method_id=None, automatic_since=None))
    row = Erasure(user_id=user.id, created_at=user.created_at, erased_at=erased_at)
    row.email_hash = imported.hash_of(email_key)
    db.session.add(row)
    stored_answers.blank(user.id, placeholder)
    _delete_mails(user.id, email_key)
    answers.blank(user.id, plans)
    security_events.erase_origins(user.id)
    tables = (
        *(UserSession, TokenFamily, PasswordReset, IdempotencyKey, TotpSecret, RecoveryCode, SignInStep),
        *(FactorRemoval, KeptForm, Passkey, PasskeyChallenge, SignInCode),
    )
    for table in tables:
        db.session.execute(delete(table).where(table.user_id == user.id))
    db.session.execute(delete(Mute).where(Mute.customer_id == user.id))
    pairs = update(Customer).where(Customer.user_id == user.id)
    db.session.execute(pairs.values(blocked_at=None, barred_at=None, name=None, phone=None, note=None))
    keys = update(ApiKey).where(ApiKey.created_by == user.id, ApiKey.revoked_at.is_(None))
    db.session.execute(keys.values(revoked_at=now))
    mine = delete(Membership).where(Membership.user_id == user.id)
    db.session.execute(
        mine.where(Membership.merchant_id.not_in(_owned_alone(user.id))).execution_options(synchronize_session=False)
    )
    for method in db.session.scalars(select(PaymentMethod).where(PaymentMethod.customer_id == user.id)):
        method.removed_at = method.removed_at or now
        method.token, method.brand, method.last4 = f"erased_{secrets.token_hex(16)}", "", "0000"
    replies = select(Dispute.answer_id).where(Dispute.user_id == user.id)  # also about plans that went to another email
    typed = or_(TypedText.plan_id.in_(plans), TypedText.id.in_(replies))
    db.session.execute(update(TypedText).where(typed).values(text=None))
    links = update(Invitation).where(Invitation.plan_id.in_(plans), Invitation.claimed_at.is_(None))
    db.session.execute(links.where(Invitation.revoked_at.is_(None)).values(revoked_at=now, revoked_for="revoked"))
    user.email, user.username, user.password_hash, user.registered_as = placeholder, None, None, "customer"
    user.email_proven_at, user.language, user.full_name, user.phone = None, None, "", ""
    user.calendar_hash = user.calendar_made_at = None
    for of_person in (EmailProof.user_id, EmailChange.user_id):
        db.session.execute(delete(of_person.class_).where(of_person == user.id))
    db.session.execute(delete(EmailProof).where(EmailProof.user_id.is_(None), EmailProof.email_key == email_key))
    imported.forget(email_key, placeholder)
    db.session.execute(update(OperatorAct).where(_names(user.id)).values(reason=None, detail=None))
    user.early_reminders, user.erased_at, user.deactivated_at = False, erased_at, user.deactivated_at or erased_at


def _placeholder() -> str:
    return f"erased-{secrets.token_hex(16)}@{DOMAIN}"


def _names(user_id: int) -> ColumnElement[bool]:
    """The acts of operators on the account, and the person's objections and changes of a business's name."""
    own = and_(OperatorAct.actor_id == user_id, OperatorAct.kind.in_(("merchant_objected", "merchant_renamed")))
    return or_(OperatorAct.user_id == user_id, own)


def _delete_mails(user_id: int, email_key: str) -> None:
    """Delete the mails to the person, the invitations of their email, and the mails to owners and operators that name
    them or hold their words.
    """
    plans = select(Plan.id).where(Plan.customer_id == user_id)
    acts = [str(act_id) for act_id in db.session.scalars(select(OperatorAct.id).where(_names(user_id)))]
    invitations = select(TeamInvitation.id).where(TeamInvitation.email_key == email_key)
    ids = [str(invitation_id) for invitation_id in db.session.scalars(invitations)]
    made = select(ApiKey.id).where(ApiKey.created_by == user_id)
    key_ids = [str(key_id) for key_id in db.session.scalars(made)]
    disputed = select(Dispute.id).where(Dispute.user_id == user_id)
    dispute_ids = [str(dispute_id) for dispute_id in db.session.scalars(disputed)]
    of_disputes = Email.data["news"].astext.in_(("disputed", "upheld", "stands", "void"))
    db.session.execute(
        delete(Email).where(
            or_(
                Email.to_user_id == user_id,
                and_(Email.kind == "api_key_made", Email.data["key_id"].astext.in_(key_ids)),
                and_(Email.kind == "team_invitation", Email.data["invitation_id"].astext.in_(ids)),
                and_(Email.kind.in_(("team_news", "webhook_address")), Email.data["user_id"].astext == str(user_id)),
                and_(Email.kind.in_(("plan_news", "bounce_notice")), Email.plan_id.in_(plans)),
                and_(Email.kind == "plan_news", of_disputes, Email.data["about"].astext.in_(dispute_ids)),
                and_(Email.kind == "digest", Email.data["customers"].contains(func.to_jsonb(user_id))),
                and_(Email.kind == "operator_act", Email.data["act_id"].astext.in_(acts)),
            )
        )
    )
    db.session.execute(delete(TeamInvitation).where(TeamInvitation.email_key == email_key))
