"""Proofs of emails: ask for one, and prove an email by the mailed link or the code beside it.

A registration proves its email, and an account proves the email that it changes to. Link and code are made when their
mail is written, so no table holds them in plain text. Every request counts towards the limits of its email, whether
or not the email is known here, so the answers tell no stranger which emails are. The limits count requests of one
network address by themselves, so a stranger elsewhere who knows an email does not use up its owner's mails and tries.
"""

import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flask import current_app
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from portal.domain import clock, identifiers
from portal.domain.tokens import digest
from portal.errors import Fault, Invalid, NotFound, Refused, TooMany
from portal.extensions import db
from portal.models import EmailChange, EmailProof, User
from portal.models.accounts.email_proofs import MAX_WRONG_CODES
from portal.models.security_events import SecurityKind
from portal.services import emails, security_events
from portal.services.accounts import accounts, email_changes, operators, passwords, registrations, sessions
from portal.services.unit_of_work import end_reading, unit_of_work

LIFETIME: Final = timedelta(minutes=15)
MAX_REQUEST_AGE: Final = timedelta(days=1)
"""The age of a request beyond which its delayed mail is not sent."""
PER_HOUR: Final = 5
PER_DAY: Final = 10
"""Proofs of one email, and of one account, for requests from one network address."""
IN_ALL_PER_HOUR: Final = 10
IN_ALL_PER_DAY: Final = 20
"""Proofs of one email, and of one account, from all network addresses."""
WRONG_CODES_PER_DAY: Final = 15
"""Wrong codes for one email, over all proofs that one network address asked for."""
WRONG_CODES_IN_ALL: Final = 30
"""Wrong codes for one email in a day, over all its proofs."""
RETENTION: Final = timedelta(days=7)
CODE_DIGITS: Final = 6

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Asker:
    """The origin of a request: its address, and the browser's session (None: the API), which alone may use the code.

    `has_code` is false for a request of a person who is not signed in: the mail then has the link only, and an earlier
    mail that still works stays in its place.
    """

    address: str = ""
    session_id: int | None = None
    has_code: bool = True


@dataclass(frozen=True, slots=True)
class Issued:
    """The secrets of a proof's mail. Neither can be read again."""

    token: str
    code: str | None


@unit_of_work
def ask(user_id: int, asker: Asker) -> None:
    """Mail a registration a proof of its email, in place of the one before.

    The owner of an email that is known here gets "you have an account" in its place.
    Refuses: not_found; already_proven; mail_limit (429: PER_HOUR, PER_DAY, and those in all); busy.
    """
    email = db.session.scalar(select(User.email).where(User.id == user_id))
    if email is None:
        raise NotFound()
    registrations.lock_email(email)
    user = _lock(user_id)
    if user.is_proven:
        raise Refused("already_proven")
    if asker.has_code or pending(user_id) is None:
        _post(user, user.email, asker)


def correct(user_id: int, email: str, asker: Asker) -> None:
    """Give a registration another email, and mail a proof of it. Its earlier proofs end.

    With EMAIL_CONFIRMATION=off an email that nobody holds counts as proven. Refuses: not_found; already_proven; Invalid
    on email (malformed; with EMAIL_CONFIRMATION=off also `email_taken`); mail_limit (429); busy.
    """
    _correct(user_id, accounts.read_email(email), asker)


@unit_of_work
def _correct(user_id: int, email: str, asker: Asker) -> None:
    registrations.lock_email(email)
    user = _lock(user_id)
    if user.is_proven:
        raise Refused("already_proven")
    user.email = email
    if user.username is not None and "@" in user.username:
        user.username = email
    db.session.flush()
    holder = _holder_of(email)
    if not _confirmed() and holder is not None and holder.is_claimed:
        raise Invalid(Fault("email", "email_taken"))
    if not _confirmed() and holder is None:
        _end_proofs(user_id)
        _settle(user, asker.session_id, None)
        return
    _post(user, email, asker)


def ask_change(user_id: int, email: str, *, password: str, asker: Asker) -> None:
    """Mail a proof to the email that an account wants. The account keeps its own until the new one is proven.

    An email that has plans already is told by mail what to do, as in every mode: it needs an account of its own.
    Refuses: not_found; Invalid on email (malformed, unchanged; with EMAIL_CONFIRMATION=off also `email_taken`) and
    current_password (wrong); email_changed (the last change can still be undone); mail_limit (429); busy.
    """
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound()
    hashed, key = user.password_hash, user.email_key
    end_reading()
    if not passwords.verify(password, hashed):
        raise Invalid(Fault("current_password", "wrong_password"))
    email = accounts.read_email(email)
    if identifiers.email_key(email) == key:
        raise Invalid(Fault("email", "email_unchanged"))
    _ask_change(user_id, email, asker)


@unit_of_work
def _ask_change(user_id: int, email: str, asker: Asker) -> None:
    registrations.lock_email(email)
    user = _lock(user_id)
    if not user.is_proven:
        raise Refused("not_found", about="account")
    email_changes.require_settled(user_id)
    holder = _holder_of(email)
    if not _confirmed() and holder is not None and holder.is_claimed:
        raise Invalid(Fault("email", "email_taken"))
    _post(user, email, asker)


@unit_of_work
def issue(proof_id: int) -> Issued | None:
    """Make link and code of this proof, which work for LIFETIME from now. The mail calls it.

    None when the proof was replaced or used, or when the email has an owner by now.
    """
    proof = db.session.get(EmailProof, proof_id, with_for_update=True, populate_existing=True)
    if proof is None or proof.ended_at is not None or proof.user_id is None:
        return None
    holder = _holder_of(proof.email)
    if holder is not None and (holder.is_claimed or db.session.get_one(User, proof.user_id).is_proven):
        return None
    token, code = secrets.token_urlsafe(32), f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    proof.token_hash = digest(token)
    newest = current_app.config["QIST"].secret_keys[0]
    proof.code_hash = _code_digest(newest, proof.id, code) if proof.has_code else None
    proof.expires_at = clock.now() + LIFETIME
    return Issued(token, code if proof.has_code else None)


def pending(user_id: int) -> EmailProof | None:
    """The proof that the account waits for; None when it lapsed, was used, or when none was asked for."""
    return db.session.scalar(EmailProof.live(clock.now()).where(EmailProof.user_id == user_id))


def find(token: str) -> EmailProof | None:
    """The proof of this link, with its user; None when the link is unknown, used, replaced or lapsed."""
    return db.session.scalar(EmailProof.live(clock.now()).where(EmailProof.token_hash == digest(token)))


def prove(user_id: int, code: str, *, session_id: int | None = None, family_id: int | None = None) -> int:
    """Prove the email by the code of the newest mail, in the browser (or by the tokens) that asked for it.

    Ends the account's other sessions and API tokens, and every other registration of the email. Returns the id of the
    account: another one, if the email had plans already. Refuses: proof_ended (lapsed, replaced, used, tried too often,
    another browser asked, or the email has an owner by now); Invalid on code (wrong); code_limit (429);
    own_plan_of_business; busy.
    """
    result = _try(user_id, code, session_id, family_id)
    if isinstance(result, Exception):
        raise result
    return result


def prove_by_link(
    token: str, *, session_id: int | None = None, password: str | None = None, new_password: str | None = None
) -> int:
    """Prove the email by the mailed link. Returns the id of the account, as `prove` does.

    In the browser of `session_id`, if it asked for the link, nothing else is needed. Elsewhere a registration needs its
    password, or gets a new one: who reads the mailbox has the last word. A change of an email needs the password of
    the account.
    Refuses: not_found (the link is unknown, used, replaced or lapsed); proof_ended (the email has an owner by now);
    Invalid on password (wrong) and new_password; own_plan_of_business; busy.
    """
    proof = find(token)
    if proof is None or proof.user is None:
        raise NotFound("email_proof")
    is_here = is_from(proof, session_id)
    hashed, hints = proof.user.password_hash, [*passwords.hints_of(proof.user), proof.email]
    is_change = proof.user.is_proven
    end_reading()
    new_hash = None
    if not is_here and new_password and not is_change:
        if faults := passwords.faults(new_password, hints=hints, field="new_password"):
            raise Invalid(*faults)
        new_hash = passwords.hash_password(new_password)
    elif not is_here and not passwords.verify(password or "", hashed):
        raise Invalid(Fault("password", "wrong_password", about="registration"))
    return _prove_by_link(token, session_id if is_here else None, new_hash)


def is_from(proof: EmailProof, session_id: int | None) -> bool:
    """The browser of this session asked for the proof."""
    return session_id is not None and proof.session_id == session_id


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` proofs older than RETENTION. Returns how many."""
    old = select(EmailProof.id).where(EmailProof.created_at < clock.now() - RETENTION).limit(limit)
    deleted = db.session.execute(delete(EmailProof).where(EmailProof.id.in_(old)).returning(EmailProof.id))
    return len(deleted.all())


def _post(user: User, email: str, asker: Asker) -> None:
    """Behind the lock of the email: end the user's proofs, and post the mail with another."""
    now = clock.now()
    mine = or_(EmailProof.email_key == identifiers.email_key(email), EmailProof.user_id == user.id)
    from_here = func.count().filter(EmailProof.asked_from == asker.address[:45])
    for limit, limit_in_all, period in ((PER_HOUR, IN_ALL_PER_HOUR, _HOUR), (PER_DAY, IN_ALL_PER_DAY, _DAY)):
        counts = select(func.count(), from_here).where(mine, EmailProof.created_at > now - period)
        in_all, here = db.session.execute(counts).one()
        if here >= limit or in_all >= limit_in_all:
            raise TooMany("mail_limit", about="proofs", limit=limit if here >= limit else limit_in_all)
    _end_proofs(user.id)
    proof = EmailProof(
        user_id=user.id,
        session_id=asker.session_id,
        email=email,
        has_code=asker.has_code,
        asked_from=asker.address[:45],
        created_at=now,
        expires_at=now + LIFETIME,
    )
    db.session.add(proof)
    db.session.flush()
    holder = _holder_of(email)
    is_known = holder is not None and holder.id != user.id and (holder.is_claimed or user.is_proven)
    kind = "email_known" if is_known else "email_proof"
    recipient = holder if holder is not None and is_known else user
    emails.post(kind, to_user_id=recipient.id, dedupe_key=f"{kind}:{proof.id}", data={"proof_id": proof.id})


@unit_of_work
def _try(user_id: int, code: str, session_id: int | None, family_id: int | None) -> int | Invalid | Refused:
    """The account's id, or the refusal of a wrong code, which is counted in this commit."""
    waiting = pending(user_id)
    if waiting is None:
        raise Refused("proof_ended")
    if waiting.session_id != session_id:
        raise Refused("proof_ended", about="browser")
    registrations.lock_email(waiting.email)
    user, proof = _lock(user_id), _lock_proof(waiting.id)
    in_all, from_here = _wrong_codes_today(proof)
    if from_here >= WRONG_CODES_PER_DAY or in_all >= WRONG_CODES_IN_ALL:
        raise TooMany("code_limit")
    typed = "".join(_digit(character) for character in code if character.isalnum())
    if proof.code_hash is not None and any(
        hmac.compare_digest(proof.code_hash, _code_digest(secret, proof.id, typed))
        for secret in current_app.config["QIST"].secret_keys
    ):
        return _prove(user, proof, None, session_id, family_id)
    proof.wrong_codes += 1
    if proof.wrong_codes == MAX_WRONG_CODES:
        proof.ended_at = clock.now()
        return Refused("proof_ended", about="tries")
    return Invalid(Fault("code", "wrong_code", limit=MAX_WRONG_CODES - proof.wrong_codes))


@unit_of_work
def _prove_by_link(token: str, session_id: int | None, new_hash: str | None) -> int:
    waiting = find(token)
    if waiting is None or waiting.user_id is None:
        raise NotFound("email_proof")
    registrations.lock_email(waiting.email)
    user, proof = _lock(waiting.user_id), _lock_proof(waiting.id)
    return _prove(user, proof, new_hash, session_id, None)


def _prove(user: User, proof: EmailProof, new_hash: str | None, session_id: int | None, family_id: int | None) -> int:
    """Behind the locks of email, user and proof."""
    if proof.ended_at is not None or proof.expires_at <= clock.now() or user.deactivated_at is not None:
        raise Refused("proof_ended")
    proof.ended_at = clock.now()
    if user.is_proven:
        if _holder_of(proof.email) is not None:
            raise Refused("proof_ended", about="taken")
        try:
            email_changes.apply(user, proof.email)
        except IntegrityError as error:
            raise Refused("proof_ended", about="taken") from error
        registrations.remove_others(proof.email_key, keep=user.id)
        sessions.end_access(user.id, keep_session_id=session_id, keep_family_id=family_id)
        return user.id
    if new_hash is not None:
        user.password_hash = new_hash
    return _settle(user, session_id, family_id)


def _settle(user: User, session_id: int | None, family_id: int | None) -> int:
    """Behind the lock of the email: the registration becomes the account of its email. Returns the account's id."""
    holder, registration_id = _holder_of(user.email), user.id
    if holder is not None and holder.is_claimed:
        raise Refused("proof_ended", about="taken")
    if holder is not None:
        record = db.session.get_one(User, holder.id, with_for_update=True, populate_existing=True)
        if record.deactivated_at is not None:
            raise Refused("proof_ended", about="taken")
        user = registrations.join(user, record, session_id=session_id)
    user.email_proven_at = clock.now()
    try:
        db.session.flush()
    except IntegrityError as error:
        raise Refused("proof_ended", about="taken") from error
    operators.tell_of_waiting(user.id)
    registrations.remove_others(user.email_key, keep=user.id)
    sessions.end_access(user.id, keep_session_id=session_id, keep_family_id=family_id)
    kind: SecurityKind = "email_proven" if user.id == registration_id else "record_claimed"
    security_events.record(kind, user.id, registration=registration_id)
    return user.id


def _lock(user_id: int) -> User:
    user = db.session.get(User, user_id, with_for_update=True, populate_existing=True)
    if user is None:
        raise Refused("not_found", about="account")
    return user


def _lock_proof(proof_id: int) -> EmailProof:
    proof = db.session.get(EmailProof, proof_id, with_for_update=True, populate_existing=True)
    if proof is None or proof.ended_at is not None:
        raise Refused("proof_ended")
    return proof


def _end_proofs(user_id: int) -> None:
    live = update(EmailProof).where(EmailProof.user_id == user_id, EmailProof.ended_at.is_(None))
    db.session.execute(live.values(ended_at=clock.now()))


def _wrong_codes_today(proof: EmailProof) -> tuple[int, int]:
    """The wrong codes of a day for the proof's email: in all, and for proofs asked for from the same address."""
    recent = EmailProof.email_key == proof.email_key, EmailProof.created_at > clock.now() - _DAY
    number = func.sum(EmailProof.wrong_codes)
    here = number.filter(EmailProof.asked_from == proof.asked_from)
    in_all, from_here = db.session.execute(select(number, here).where(*recent)).one()
    return in_all or 0, from_here or 0


def _holder_of(email: str) -> User | None:
    return db.session.scalar(EmailChange.holder_of(email, clock.now()))


def _confirmed() -> bool:
    return bool(current_app.config["QIST"].email_confirmation == "required")


def _digit(character: str) -> str:
    """A decimal digit of any script as an ASCII digit; any other character stays."""
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


def _code_digest(secret: str, proof_id: int, code: str) -> bytes:
    """The digest of a code under a secret key: six digits alone could be tried from a copy of the database."""
    key = hmac.digest(secret.encode(), b"email proofs", "sha256")
    return hmac.digest(key, f"{proof_id}:{code}".encode("utf-8", "surrogatepass"), "sha256")
