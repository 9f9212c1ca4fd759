"""Accounts: register, change settings and passwords, and find or invite a customer by email."""

import secrets
from dataclasses import dataclass, replace
from typing import Final

from flask import current_app
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from portal.domain import clock, identifiers, lookalikes, typed_text
from portal.domain.permissions import Actor, Hat
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import EmailChange, Membership, Merchant, User
from portal.reports.parameters import KEY, MERCHANT, NOW
from portal.services import emails, mail_limits, security_events
from portal.services.accounts import api_keys, merchant_settings, operators, passwords, registrations, sessions
from portal.services.accounts.merchant_settings import Settings
from portal.services.unit_of_work import end_reading, unit_of_work, violated

_OWNER: Final = (
    select(Membership.user_id)
    .where(Membership.user_id == User.id, Membership.merchant_id == MERCHANT, Membership.role == "owner")
    .exists()
)
_LOCKED_HOLDER: Final = (
    EmailChange.holder_of_key(KEY, NOW)
    .add_columns(_OWNER)
    .with_for_update(of=User, read=True, key_share=True)
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """The input of a registration. Business name, currency (ISO 4217) and zone (IANA) count for merchants only.

    `is_demo` marks an account of the demo data, whose email counts as proven. No page and no API endpoint sets it.
    """

    role: Hat
    username: str
    email: str
    password: str
    business_name: str = ""
    home_currency: str = "USD"
    time_zone: str = "UTC"
    is_demo: bool = False


def register(new: NewAccount) -> int:
    """Create an account that can sign in. Returns the user's id.

    With EMAIL_CONFIRMATION=off a new email counts as proven. In every other case the account is a registration, which
    can do no more than prove its email (proofs.py): an email with plans is claimed by its mailbox alone, and with
    EMAIL_CONFIRMATION=required known and unknown emails have the same result. Sent again with the same password, it
    returns the registration that exists.

    Refuses: Invalid, with all faults at once, on username (missing, bad characters, taken, another email), email
    (malformed; with EMAIL_CONFIRMATION=off also `email_taken`) and password, and for a merchant on role
    (`merchants_closed`), business_name, home_currency and time_zone. A business may have to wait for approval.
    """
    new, faults = _checked(new)
    if {fault.code for fault in faults} == {"username_taken"} and (mine := _same_registration(new)) is not None:
        return mine
    if faults:
        raise Invalid(*faults)
    return _insert(new, passwords.hash_password(new.password))


def registration_faults(new: NewAccount) -> list[Fault]:
    """The faults that `register` would raise, for an entry point that adds faults of its own."""
    return _checked(new)[1]


def checked(new: NewAccount) -> tuple[NewAccount, list[Fault]]:
    """An account of the command line as it is stored, and its faults. The role may be operator, too."""
    stored, faults = _checked(new)
    return stored, [fault for fault in faults if fault.code not in ("unknown_role", "merchants_closed")]


def is_same_person(one: NewAccount, other: NewAccount) -> bool:
    """Whether two new accounts have the same username or the same email."""
    usernames = {identifiers.username_key(new.username) for new in (one, other)}
    return len(usernames) == 1 or len({identifiers.email_key(new.email) for new in (one, other)}) == 1


def create_operator(username: str, email: str, password: str) -> int:
    """Create an operator (from the command line only). Returns the user's id. Refuses: as `register`."""
    username, (stored, faults) = identifiers.username(username), _read_email(email.strip())
    email = stored or email.strip()
    faults = faults + _username_faults(username, email) + passwords.faults(password, hints=(username, email))
    faults += _taken(username)
    if _holder_of(email) is not None:
        faults.append(Fault("email", "email_taken"))
    end_reading()
    if faults:
        raise Invalid(*faults)
    new = NewAccount("operator", username, email, password)
    return _insert(new, passwords.hash_password(password))


def change_password(
    user_id: int, *, current: str, new: str, keep_session_id: int | None, revoke_keys: bool = False
) -> None:
    """Set a new password. Ends all other sessions and all API tokens; `keep_session_id` is the caller's session.

    `revoke_keys` also revokes the API keys that the account made. The account is told by mail. Refuses: not_found;
    email_changed (with `revoke_keys`); Invalid on current_password (wrong) and new_password (too weak, or unchanged);
    busy.
    """
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound()
    hashed, hints = user.password_hash, passwords.hints_of(user)
    end_reading()
    if not passwords.verify(current, hashed):
        raise Invalid(Fault("current_password", "wrong_password"))
    faults = passwords.faults(new, hints=hints, field="new_password")
    if not faults and new == current:
        faults = [Fault("new_password", "password_unchanged")]
    if faults:
        raise Invalid(*faults)
    _set_password(user_id, passwords.hash_password(new), keep_session_id, revoke_keys)


@unit_of_work
def set_language(user_id: int, code: str) -> None:
    """Set the language of the account's pages and mails: the code of a catalogue ("ar", "pt_BR")."""
    db.session.execute(update(User).where(User.id == user_id).values(language=code))


@unit_of_work
def update_merchant(actor: Actor, settings: Settings) -> None:
    """Change a merchant's settings. Zone (IANA), grace days and withdrawal days count for plans made afterwards.

    Only an owner changes the zone: a manager could begin another day, and refund a day's limit again.
    Operators keep a changed name in view: services/accounts/merchant_settings.py.
    Refuses: forbidden; not_found; Invalid on business_name (also renamed_often), time_zone (also owners_zone,
    zone_before_closing), grace_days (0 to MAX_GRACE_DAYS), withdrawal_days (0 to MAX_WITHDRAWAL_DAYS; None: unchanged)
    and home_currency (unknown, or `currency_fixed`: changed although a plan exists).
    """
    merchant_settings.apply(merchant_settings.lock(actor), settings, actor)


def find_or_invite(email: str, merchant_id: int | None = None) -> User:
    """Inside a unit of work: the customer who holds this email, or a new unclaimed record.

    A registration that has not proven the email does not hold it. Refuses: Invalid on customer_email: malformed, or
    `not_a_customer`, with the same message for the email of an owner of the business `merchant_id`, of an operator and
    of a deactivated account.
    """
    valid, faults = _read_email(email.strip(), field="customer_email")
    if valid is None:
        raise Invalid(*faults)
    user, owns = _locked_holder_of(valid, merchant_id)
    if user is None:
        registrations.lock_email(valid)
        db.session.execute(
            insert(User)
            .values(
                registered_as="customer", email=valid, email_key=identifiers.email_key(valid), created_at=clock.now()
            )
            .on_conflict_do_nothing()
        )
        user, owns = _locked_holder_of(valid, merchant_id)
        assert user is not None  # noqa: S101 it was inserted, or was there
    if not user.is_claimed:  # the lock delays a claim until the new plan's link exists, which the claim then ends
        db.session.refresh(user, with_for_update={"read": True})
    if user.is_operator or user.deactivated_at is not None or owns:
        raise Invalid(Fault("customer_email", "not_a_customer"))
    return user


def replace_password(user_id: int, password_hash: str, *, keep_session_id: int | None, revoke_keys: bool) -> None:
    """Inside a unit of work: set the password; end the account's other sessions, API tokens and reset links.

    Tells the account by mail. Refuses: not_found; email_changed (with `revoke_keys`).
    """
    user = db.session.get(User, user_id, with_for_update={"key_share": True})
    if user is None:
        raise Refused("not_found", about="account")
    user.password_hash = password_hash
    sessions.end_access(user_id, keep_session_id=keep_session_id)
    revoked = api_keys.revoke_of(user_id) if revoke_keys else 0
    key = f"password_changed:{user_id}:{secrets.token_hex(8)}"
    emails.post("password_changed", to_user_id=user_id, dedupe_key=key, data={"revoked": revoked})


def invite_again(user_id: int) -> None:
    """Inside a unit of work: email this invited customer a fresh link, at most once an hour and while their mailbox has
    room: a stranger may have asked for it."""
    if not mail_limits.has_room(user_id):
        return
    emails.post("invitation_again", to_user_id=user_id, dedupe_key=f"invitation_again:{user_id}:{clock.now():%Y%m%d%H}")


def _checked(new: NewAccount) -> tuple[NewAccount, list[Fault]]:
    """The account with username and email as they are stored, and its faults."""
    new = replace(new, username=identifiers.username(new.username), email=new.email.strip())
    email, faults = _read_email(new.email)
    new = replace(new, email=email or new.email)
    faults += _username_faults(new.username, new.email)
    if new.role != "operator" and "@" not in new.username and lookalikes.reads_like_staff(new.username):
        faults.append(Fault("username", "like_staff"))
    faults += passwords.faults(new.password, hints=(new.username, new.email, new.business_name))
    if new.role not in ("merchant", "customer"):
        faults.append(Fault("role", "unknown_role"))
    if new.role == "merchant" and not new.is_demo and not operators.takes_merchants():
        faults.append(Fault("role", "merchants_closed"))
    if new.role == "merchant":
        faults += merchant_settings.merchant_faults(new.business_name, new.time_zone, new.home_currency)
    alike = registrations.like_another(new.username)  # first: one that comes meanwhile is taken, and not alike
    faults += _taken(new.username) or alike
    if email is not None and _is_proven_at_once(new) and (holder := _holder_of(email)) is not None:
        faults += [Fault("email", "email_taken")] if holder.is_claimed else []
    end_reading()
    return new, faults


def read_email(email: str, field: str = "email") -> str:
    """An email as it is stored. Refuses: Invalid on `field`."""
    stored, faults = _read_email(email.strip(), field)
    if stored is None:
        raise Invalid(*faults)
    return stored


def email_faults(email: str, field: str) -> list[Fault]:
    """The faults of an email address itself, taken or not."""
    return _read_email(email.strip(), field)[1]


def _read_email(email: str, field: str = "email") -> tuple[str | None, list[Fault]]:
    if not email:
        return None, [Fault(field, "required", about="email")]
    if (stored := identifiers.email(email)) is None:
        about = "lookalikes" if identifiers.has_lookalikes(email) else ""
        return None, [Fault(field, "bad_email", about=about)]
    return stored, []


def _username_faults(username: str, email: str) -> list[Fault]:
    if not username:
        return [Fault("username", "required")]
    if not identifiers.is_username(username):
        return [Fault("username", "bad_username", limit=identifiers.USERNAME_MAX)]
    if "@" in username and identifiers.username_key(username) != identifiers.email_key(email):
        return [Fault("username", "username_is_email")]
    return []


def _taken(username: str) -> list[Fault]:
    """The fault of a username that another account has, proven or not."""
    other = db.session.scalar(select(User.id).where(User.has_username(username)))
    return [Fault("username", "username_taken")] if other is not None else []


def _holder_of(email: str) -> User | None:
    return db.session.scalar(EmailChange.holder_of(email, clock.now()))


def _locked_holder_of(email: str, merchant_id: int | None) -> tuple[User | None, bool]:
    """The holder, locked against an erasure, and whether they own the business."""
    values = {"key": identifiers.email_key(email), "now": clock.now(), "merchant_id": merchant_id}
    row = db.session.execute(_LOCKED_HOLDER, values).first()
    return (None, False) if row is None else (row[0], row[1])


def _is_proven_at_once(new: NewAccount) -> bool:
    """The email of this account counts as proven if nobody holds it."""
    settings = current_app.config["QIST"]
    return new.is_demo or new.role == "operator" or settings.email_confirmation == "off"


def _same_registration(new: NewAccount) -> int | None:
    """The registration of this username, with the same email and password, whose email is not proven yet."""
    mine = User.has_username(new.username), User.has_email(new.email), User.is_registration()
    row = db.session.execute(select(User.id, User.password_hash).where(*mine, User.deactivated_at.is_(None))).first()
    end_reading()
    return row.id if row is not None and passwords.verify(new.password, row.password_hash) else None


def find_login(login: str) -> int:
    """The id of the account with this username or email. Refuses: unknown_account."""
    user: User | None = db.session.scalar(User.by_login(login)) if login.strip() else None
    if user is None:
        raise Refused("unknown_account")
    return user.id


@unit_of_work
def _insert(new: NewAccount, password_hash: str) -> int:
    user_id = insert_account(new, password_hash, approved=operators.approves_at_once(is_demo=new.is_demo))
    if db.session.get_one(User, user_id).is_proven:
        operators.tell_of_waiting(user_id)
    return user_id


def insert_account(new: NewAccount, password_hash: str, *, approved: bool = False, vouched_for: bool = False) -> int:
    """Inside a unit of work: the account, and a merchant's business with its membership. Returns the user's id.

    An email that the command line vouches for counts as proven. Refuses: Invalid on email and username, if another
    account took one of them meanwhile.
    """
    now = clock.now()
    registrations.lock_email(new.email)
    holder = _holder_of(new.email)
    at_once = vouched_for or _is_proven_at_once(new)
    if holder is not None and holder.is_claimed and at_once:
        raise Invalid(Fault("email", "email_taken", about="race"))
    is_proven = holder is None and at_once
    user = User(
        registered_as=new.role,
        username=new.username,
        email=new.email,
        email_proven_at=now if is_proven else None,
        password_hash=password_hash,
        is_demo=new.is_demo,
        created_at=now,
    )
    db.session.add(user)
    try:
        db.session.flush()
    except IntegrityError as error:
        faults = {
            "uq_users_email_key": Fault("email", "email_taken", about="race"),
            "uq_users_username_key": Fault("username", "username_taken"),
        }
        if (fault := faults.get(violated(error) or "")) is not None:
            raise Invalid(fault) from error
        raise
    if new.role == "merchant":
        business = Merchant(
            id=user.id,
            business_name=typed_text.read(new.business_name),
            home_currency=new.home_currency,
            time_zone=new.time_zone,
            grace_days=0,
            updated_at=now,
            approved_at=now if approved else None,
        )
        owner = Membership(user_id=user.id, merchant=business, role="owner", created_at=now)
        db.session.add_all([business, owner])
        db.session.flush()
    if is_proven:
        registrations.remove_others(user.email_key, keep=user.id)
    return user.id


@unit_of_work
def _set_password(user_id: int, password_hash: str, keep_session_id: int | None, revoke_keys: bool) -> None:
    replace_password(user_id, password_hash, keep_session_id=keep_session_id, revoke_keys=revoke_keys)
    security_events.record("password_changed", user_id)
