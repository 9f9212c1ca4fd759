"""Send what waits in the outbox. Any number of drains may run at once, and each may be killed at any moment.

A drain claims some mails (SKIP LOCKED, a lease), commits, and only then writes and sends them one by one, each marked
in a commit of its own. Who dies leaves leases that run out. One window is left: between the mail server's "taken" and
our mark. Who dies in it leaves a mail that is sent again, under the same Message-ID.
"""

import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from flask import current_app
from sqlalchemy import delete, select, update

from portal.domain import clock
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.gateways import email
from portal.models import Email
from portal.services import emails
from portal.services.mail import content
from portal.services.unit_of_work import MAX_SECONDS, after_commit, unit_of_work

log = structlog.get_logger(__name__)

TRIES: Final = 8
FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=6)
"""After the first failure a minute, then four times as long each time: the eighth try comes about 18 hours later."""
BATCH: Final = 20
LEASE: Final = timedelta(minutes=3)
MARGIN: Final = timedelta(minutes=2)
"""What must be left of the lease when a mail is begun: more than LONGEST_STEP, so that nobody else sends it, too."""
BUDGET: Final = 15.0
"""Seconds after which a drain leaves the rest to the next one."""
LONGEST_STEP: Final = 3 * MAX_SECONDS + email.MAX_SECONDS
"""Seconds that one mail takes when the database is slow, too: what it says is noted, its links are made, it is sent,
and marked. That the rest of the batch is let go comes on top; a drain that is stopped in it leaves leases, which end.
"""
KEPT: Final = timedelta(days=90)
SECRETS_KEPT: Final = timedelta(days=1)
"""How long a link in a mail that can only be read here can be read."""

_HOLDS_LINK = "holds_link"
_REMOVED = "(removed)"


@dataclass(frozen=True, slots=True)
class _Claim:
    """This drain's claim: `attempt` tells it from any other claim of the same mail, `until` is the lease's end."""

    id: int
    attempt: int
    until: datetime


def drain(limit: int = 500) -> int:
    """Send up to `limit` mails that are due, oldest first. Returns how many were looked at.

    A mail that fails waits longer each time and is dead after TRIES tries; at once when there is no such mailbox. One
    that can't be written is logged and fails like any other. While the mail server is away only one mail of a batch
    counts a try. Begins none after BUDGET seconds. Without SMTP_HOST every mail is kept, to be read in the outbox.
    """
    looked, stop = 0, time.monotonic() + BUDGET
    with email.Server(current_app.config["QIST"]) as server:
        while looked < limit and time.monotonic() < stop:
            claims = _claim(min(BATCH, limit - looked))
            if not claims:
                break
            for place, claim in enumerate(claims):
                if time.monotonic() >= stop:
                    _release(claims[place:])
                    return looked + place
                try:
                    _deliver(claim, server)
                except email.ServerUnavailable as away:
                    log.warning("mail.server_away", reason=away.reason)
                    _fail(claim, away.reason)
                    _release(claims[place + 1 :], FIRST_PAUSE)
                    return looked + place + 1
                except Exception as error:
                    log.exception("mail.not_sent", outbox_id=claim.id)
                    _fail(claim, f"It could not be written or sent: {type(error).__name__}")
            looked += len(claims)
    return looked


@unit_of_work
def resend(outbox_id: int) -> None:
    """Try a dead mail again, from the beginning. Refuses: not_found; not_dead."""
    row = db.session.get(Email, outbox_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound()
    if row.state != "dead":
        raise Refused("not_dead", "This mail was not given up, so there is nothing to try again.")
    row.state, row.attempts, row.next_try_at, row.ended_at = "waiting", 0, clock.now(), None
    after_commit(emails.enqueue_drain)


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Forget mails that ended 90 days ago, and links that still stand in others: at most `limit` of either.

    Returns how many rows that was.
    """
    now = clock.now()
    ended = select(Email.id).order_by(Email.ended_at).limit(limit)
    holding = ended.where(Email.holds_link(), Email.ended_at < now - SECRETS_KEPT)
    emptied = db.session.execute(
        update(Email)
        .where(Email.id.in_(holding))
        .values(body=None, html=None, data=Email.data.op("-")(_HOLDS_LINK))
        .returning(Email.id)
    ).all()
    old = ended.where(Email.ended_at < now - KEPT)
    gone = db.session.execute(delete(Email).where(Email.id.in_(old)).returning(Email.id)).all()
    return len(emptied) + len(gone)


@unit_of_work
def _claim(limit: int) -> list[_Claim]:
    now = clock.now()
    until = now + LEASE
    claims = []
    for row in db.session.scalars(Email.due(now).limit(limit).with_for_update(skip_locked=True)):
        if row.attempts >= TRIES:  # whoever took it last did not live to say so
            _mark_dead(row, row.last_error or "Whoever sent it was killed, each time.", now)
            continue
        row.state, row.attempts, row.next_try_at = "claimed", row.attempts + 1, until
        claims.append(_Claim(row.id, row.attempts, until))
    return claims


def _deliver(claim: _Claim, server: email.Server) -> None:
    """Write and send one mail, if it is still ours and still wanted. Raises ServerUnavailable."""
    settings = current_app.config["QIST"]
    db.session.rollback()
    row = db.session.get(Email, claim.id, populate_existing=True)
    if row is None or not _is_ours(row, claim):
        return
    if clock.now() > claim.until - MARGIN:
        _release([claim])
        return
    try:
        facts = content.facts_of(row)
    except content.NoLongerTrue as unwanted:
        _drop(claim, str(unwanted))
        return
    letter = email.compose(content.TEMPLATES.get(row.kind, row.kind), facts)
    envelope = email.Envelope(
        to=facts["to"],
        message_id=email.message_id(settings, row.dedupe_key),
        sent_at=clock.now(),
        on_behalf=facts["merchant"],
        reply_to=facts["reply_to"],
        unsubscribe_url=facts["settings_url"],
    )
    kind = row.kind
    db.session.rollback()
    if settings.smtp_host is None or facts["is_demo"]:
        _finish(claim, letter, envelope.message_id, "kept", facts.get("secret"))
        log.info("mail.kept", kind=kind, to=envelope.to, subject=letter.subject, read=emails.url_of(claim.id))
        return
    try:
        server.send(email.message(settings, letter, envelope), envelope.to)
    except email.NotSent as error:
        log.warning("mail.refused", kind=kind, outbox_id=claim.id, reason=error.reason)
        _fail(claim, error.reason, for_good=error.for_good)
        return
    _finish(claim, letter, envelope.message_id, "sent", facts.get("secret"))
    log.info("mail.sent", kind=kind, outbox_id=claim.id, message_id=envelope.message_id)


@unit_of_work
def _finish(claim: _Claim, letter: email.Content, message_id: str, state: Any, secret: tuple[str, ...] | None) -> None:
    """Sent, or kept. `secret` are what may not stay readable, unless the mail can be read here only: then for a day."""
    row = _lock(claim)
    if row is None:
        return
    _end(row, state, None, clock.now())
    row.message_id, row.subject, row.body, row.html = message_id, letter.subject, letter.text, letter.html
    if secret is not None and current_app.config["QIST"].smtp_host is None:
        row.data = {**row.data, _HOLDS_LINK: True}
    elif secret is not None:
        for token in secret:
            row.body, row.html = row.body.replace(token, _REMOVED), row.html.replace(token, _REMOVED)
    content.after_sending(row)


@unit_of_work
def _drop(claim: _Claim, reason: str) -> None:
    row = _lock(claim)
    if row is not None:
        _end(row, "dropped", reason, clock.now())


@unit_of_work
def _fail(claim: _Claim, reason: str, *, for_good: bool = False) -> None:
    row = _lock(claim)
    if row is None:
        return
    now = clock.now()
    if for_good or row.attempts >= TRIES:
        _mark_dead(row, reason, now)
        return
    pause = min(FIRST_PAUSE * 4 ** (row.attempts - 1), LONGEST_PAUSE)
    row.state, row.last_error = "waiting", reason[:300]
    row.next_try_at = now + pause * random.uniform(1, 1.2)  # noqa: S311 so that what failed together comes back apart


@unit_of_work
def _release(claims: list[_Claim], pause: timedelta = timedelta(0)) -> None:
    """The server went away, or the time was over, before it was their turn: that is no try of theirs."""
    for claim in claims:
        row = _lock(claim)
        if row is not None:
            row.state, row.attempts, row.next_try_at = "waiting", row.attempts - 1, clock.now() + pause


def _mark_dead(row: Email, reason: str, now: datetime) -> None:
    _end(row, "dead", reason, now)
    log.error("mail.dead", kind=row.kind, outbox_id=row.id, reason=reason)


def _end(row: Email, state: Any, reason: str | None, now: datetime) -> None:
    row.state, row.ended_at, row.last_error = state, now, reason[:300] if reason is not None else None


def _lock(claim: _Claim) -> Email | None:
    """The mail, locked, if this claim still holds."""
    row = db.session.get(Email, claim.id, with_for_update=True, populate_existing=True)
    if row is None or not _is_ours(row, claim):
        log.warning("mail.claim_lost", outbox_id=claim.id)
        return None
    return row


def _is_ours(row: Email, claim: _Claim) -> bool:
    return row.state == "claimed" and row.attempts == claim.attempt
