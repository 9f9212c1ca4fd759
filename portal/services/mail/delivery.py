"""Delivery of the mails that wait in the outbox. Drains may run at once, and may be killed at any moment.

A drain claims mails (SKIP LOCKED and a lease), commits, collects the facts of reminders in sets, and then composes and
sends the mails one by one, each marked in a commit of its own. A killed drain leaves leases that run out. A drain that
is killed between the mail server's answer and the mark leaves a mail that is sent again, under the same Message-ID
(RFC 5322, 3.6.4).
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import structlog
from flask import current_app
from flask_babel import gettext
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from portal import counters, logs
from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import Busy, NotFound, Refused
from portal.extensions import db, session
from portal.gateways import email
from portal.models import Email
from portal.services import emails, mail_limits
from portal.services.mail import content, rendering
from portal.services.mail.facts import Facts, NoLongerTrue
from portal.services.operations import acts
from portal.services.unit_of_work import MAX_SECONDS, after_commit, end_reading, unit_of_work
from portal.wording.isolation import unisolated
from portal.wording.language import in_language

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 8
FIRST_PAUSE: Final = timedelta(minutes=1)
MAX_PAUSE: Final = timedelta(hours=6)
"""Backoff: FIRST_PAUSE after the first failure, then four times as long each time. Eight attempts take about 18 h."""
SERVER_PAUSE: Final = timedelta(seconds=15)
"""Circuit breaker: while the mail server is away, one drain connects to it in this time, and none sends. Also the first
pause of a mail during which the connection broke."""
HELD: Final = 5_000
"""Mails that one failed connection holds back."""
BATCH: Final = 20
LEASE: Final = timedelta(minutes=3)
"""Duration of a claim."""
MARGIN: Final = timedelta(minutes=2)
"""Rest of the lease that starting a mail needs: more than MAX_STEP_SECONDS, so that no other drain claims it."""
BUDGET: Final = 15.0
"""Seconds after which a drain leaves the remaining mails to the next run."""
MAX_STEP_SECONDS: Final = MAX_SECONDS + MAX_SECONDS + email.MAX_SECONDS + MAX_SECONDS
"""Upper bound for one mail on a slow database: write its facts, create its links, send it, mark it. Releasing the rest
of the batch comes on top; a drain that is stopped during that leaves leases, which run out.
"""
RETENTION: Final = timedelta(days=90)
"""Age at which an ended mail is deleted."""
LINK_RETENTION: Final = timedelta(days=1)
"""Age at which the body of a kept mail with a link is removed."""

_MARK: Final = (
    "mail# AS (UPDATE emails SET state = %s, ended_at = %s, last_error = NULL, error_detail = NULL, message_id = %s,"
    " subject = %s, body = %s, html = %s, data = data || %s"
    " WHERE id = %s AND state = 'claimed' AND attempts = %s RETURNING 1)"
)
_HOLDS_LINK = "holds_link"
_REMOVED = "(removed)"


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim on one mail. `attempt` distinguishes the claims of the same mail, `until` (aware) is the lease's end."""

    id: int
    attempt: int
    until: datetime
    kind: str
    request_id: str | None
    """The request that posted the mail, for the log."""


class _NotMarked(Exception):
    """The mail server accepted the mail, and the database did not take the mark."""

    def __init__(self, message_id: str) -> None:
        super().__init__(message_id)
        self.message_id = message_id


class _ClaimLost(Exception):
    """Another drain has the mail."""


def drain(limit: int = 500) -> int:
    """Send up to `limit` due mails, oldest first. Returns the number of mails looked at.

    A mail that fails waits longer each time, and is dead after MAX_ATTEMPTS attempts, or at once when its mailbox does
    not exist. A mail that can't be composed is logged and fails in the same way. The connection is made before a mail
    is claimed: while the mail server is away, no mail loses an attempt, and all wait for SERVER_PAUSE. A mail that is
    sent and can't be marked is logged as mail.not_marked and ends the drain: its lease runs out, and the next drain
    sends it again under the same Message-ID. Starts none after BUDGET seconds. Without SMTP_HOST every mail is kept, to
    be read in the outbox.
    """
    looked, stop = 0, time.monotonic() + BUDGET
    settings = current_app.config["QIST"]
    with email.Server(settings) as server:
        if settings.smtp_host is not None and not _connect(server):
            return 0
        while looked < limit and time.monotonic() < stop:
            claims = _claim(min(BATCH, limit - looked))
            if not claims:
                break
            batch = content.Batch({claim.id: claim.attempt for claim in claims if claim.kind in content.IN_SETS})
            for index, claim in enumerate(claims):
                if time.monotonic() >= stop:
                    _release(claims[index:])
                    return looked + index
                with structlog.contextvars.bound_contextvars(request_id=claim.request_id):
                    outcome = _attempt(claim, server, batch.of(claim.id))
                if isinstance(outcome, email.ServerUnavailable):
                    _hold(outcome, claims[index:])
                    return looked + index
                if outcome == "database_away":
                    return looked + index + 1
            looked += len(claims)
            if len(claims) < BATCH:
                break
    return looked


def _connect(server: email.Server) -> bool:
    """Connect for the mails that are due. Returns False without any, during SERVER_PAUSE and if the server is away."""
    now = clock.now()
    due = Email.due(now).order_by(None).with_only_columns(Email.id).exists()
    held_until, is_due = db.session.execute(
        select(select(func.max(Email.next_try_at)).where(Email.held()).scalar_subquery(), due)
    ).one()
    end_reading()
    if not is_due or (held_until is not None and held_until > now):
        return False
    try:
        server.check()
    except email.ServerUnavailable as away:
        _hold(away)
        return False
    if held_until is not None:
        _resume()
    return True


def _attempt(
    claim: _Claim, server: email.Server, written: content.Written | None
) -> Literal["go_on", "database_away"] | email.ServerUnavailable:
    """Deliver one mail, and log and mark a failure. Returns what becomes of the batch."""
    try:
        _deliver(claim, server, written)
    except _NotMarked as sent:
        facts = logs.database_facts(sent.__cause__ or sent)
        counters.mail("not_marked")
        log.error("mail.not_marked", outbox_id=claim.id, message_id=sent.message_id, **facts)
        return "database_away"
    except email.ServerUnavailable as away:
        return away
    except Exception as error:
        counters.mail("not_composed")
        log.exception("mail.not_sent", outbox_id=claim.id)
        _fail(claim, "not_composed", type(error).__name__)
    return "go_on"


@unit_of_work
def resend(email_id: int, *, actor: Actor) -> None:
    """Queue a dead mail again with all its attempts. Operators are told. Refuses: forbidden; not_found; not_dead."""
    by = acts.require(actor)
    row = db.session.get(Email, email_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound()
    if row.state != "dead":
        raise Refused("not_dead")
    row.state, row.attempts, row.next_try_at, row.ended_at = "waiting", 0, clock.now(), None
    acts.record("mail_resent", by=by, detail=str(row.id))
    after_commit(emails.enqueue_drain)


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete mails that ended RETENTION ago, and remove the bodies that hold a link after LINK_RETENTION.

    At most `limit` of either. Returns the number of rows.
    """
    now = clock.now()
    ended = select(Email.id).order_by(Email.ended_at).limit(limit)
    with_link = ended.where(Email.holds_link(), Email.ended_at < now - LINK_RETENTION)
    emptied = db.session.execute(
        update(Email)
        .where(Email.id.in_(with_link))
        .values(body=None, html=None, data=Email.data.op("-")(_HOLDS_LINK))
        .returning(Email.id)
    ).all()
    old = ended.where(Email.ended_at < now - RETENTION)
    deleted = db.session.execute(delete(Email).where(Email.id.in_(old)).returning(Email.id)).all()
    return len(emptied) + len(deleted)


@unit_of_work
def _claim(limit: int) -> list[_Claim]:
    now = clock.now()
    until = now + LEASE
    claims = []
    for row in db.session.scalars(Email.due(now).limit(limit).with_for_update(skip_locked=True)):
        if row.attempts >= MAX_ATTEMPTS:  # the drain of the last attempt was killed
            _mark_dead(row, row.last_error or "killed", row.error_detail, now)
            continue
        row.state, row.attempts, row.next_try_at = "claimed", row.attempts + 1, until
        claims.append(_Claim(row.id, row.attempts, until, row.kind, row.data.get(emails.REQUEST_ID)))
    return claims


def _deliver(claim: _Claim, server: email.Server, written: content.Written | None = None) -> None:
    """Compose and send one claimed mail, unless it is no longer true. Raises ServerUnavailable.

    `written`: its facts, if they were collected a moment ago.
    """
    settings = current_app.config["QIST"]
    if clock.now() > claim.until - MARGIN:
        _release([claim])
        return
    written = written or _write(claim)
    if written is None:
        return
    if written.reason is not None:
        _drop(claim, written.reason)
        return
    facts, kind = written.facts, written.kind
    with in_language(written.language):
        composed = rendering.compose(content.template_of(kind), facts)
        sender = unisolated(gettext("%(business)s via %(installation)s"))
    envelope = email.Envelope(
        to=facts["to"],
        message_id=email.message_id(settings, written.dedupe_key),
        sent_at=clock.now(),
        on_behalf=facts["merchant"],
        reply_to=facts["reply_to"],
        unsubscribe_url=facts["unsubscribe_url"],
        sender=sender,
    )
    if settings.smtp_host is None or facts["is_demo"]:
        _finish(claim, composed, envelope.message_id, "kept", facts)
        counters.mail("kept")
        log.info("mail.kept", kind=kind, to=envelope.to, subject=composed.subject, read=emails.url_of(claim.id))
        return
    try:
        server.send(email.message(settings, composed, envelope), envelope.to)
    except email.NotSent as error:
        counters.mail("refused")
        log.warning("mail.refused", kind=kind, outbox_id=claim.id, reason=str(error))
        _fail(claim, error.code, error.detail, for_good=error.for_good)
        return
    try:
        _finish(claim, composed, envelope.message_id, "sent", facts)
    except (SQLAlchemyError, Busy) as error:
        raise _NotMarked(envelope.message_id) from error.__cause__ or error
    counters.mail("sent")
    log.info("mail.sent", kind=kind, outbox_id=claim.id, message_id=envelope.message_id)


def _write(claim: _Claim) -> content.Written | None:
    """The facts of one mail. None if the claim does not hold any more, and if the mail waits for its mailbox."""
    end_reading()
    row, recipient = content.recipient_of(claim.id)
    if row is None or not row.is_claimed(claim.attempt):
        return None
    if (room_at := mail_limits.wait_until(row)) is not None:
        end_reading()
        _release([claim], max(room_at - clock.now(), timedelta(0)))
        return None
    kind, dedupe_key = row.kind, row.dedupe_key
    language = recipient.language
    with in_language(language):
        try:
            facts, reason = content.facts_of(row, recipient), None
        except NoLongerTrue as no_longer_true:
            facts, reason = {}, no_longer_true.code
    end_reading()
    return content.Written(kind, dedupe_key, language, facts, reason)


def _finish(claim: _Claim, composed: email.Content, message_id: str, state: Any, facts: Facts) -> None:
    """Mark a mail sent or kept. Removes the tokens in its `secret`; without a mail server only after LINK_RETENTION."""
    try:
        _mark(claim, composed, message_id, state, facts)
    except _ClaimLost:
        log.warning("mail.claim_lost", outbox_id=claim.id)


@unit_of_work
def _mark(claim: _Claim, composed: email.Content, message_id: str, state: Any, facts: Facts) -> None:
    """One statement for the mail's row and for what its kind adds. Raises _ClaimLost."""
    text, html, more = composed.text, composed.html, {}
    secret: tuple[str, ...] | None = facts.get("secret")
    if secret is not None and current_app.config["QIST"].smtp_host is None:
        more = {_HOLDS_LINK: True}
    elif secret is not None:
        for token in secret:
            text, html = text.replace(token, _REMOVED), html.replace(token, _REMOVED)
    content.after_sending(claim.kind, claim.id, facts)
    row = (state, clock.now(), message_id, composed.subject, text, html, more, claim.id, claim.attempt)
    session().queue.add_part(_MARK, row)
    if not session().write_queue("(SELECT count(*) FROM mail#)"):
        raise _ClaimLost


@unit_of_work
def _drop(claim: _Claim, code: str) -> None:
    row = _lock(claim)
    if row is not None:
        _end(row, "dropped", code, None, clock.now())


@unit_of_work
def _fail(claim: _Claim, code: str, detail: str = "", *, for_good: bool = False) -> None:
    row = _lock(claim)
    if row is None:
        return
    now = clock.now()
    if for_good or row.attempts >= MAX_ATTEMPTS:
        _mark_dead(row, code, detail, now)
        return
    ended = code == "connection_broke" or detail.startswith("421 ")  # RFC 5321, 3.8: the server closes the connection
    first = SERVER_PAUSE if ended else FIRST_PAUSE
    pause = min(first * 4 ** (row.attempts - 1), MAX_PAUSE)
    row.state, row.last_error, row.error_detail = "waiting", code, detail[:300]
    row.next_try_at = now + pause * random.uniform(1, 1.2)  # noqa: S311 spreads the retries


@unit_of_work
def _release(claims: list[_Claim], pause: timedelta = timedelta(0)) -> None:
    """Return claimed mails that were not started. They lose no attempt."""
    _return(claims, clock.now() + pause)


def _return(claims: Sequence[_Claim], next_try_at: datetime) -> None:
    """Inside a unit of work: return claimed mails. One that was never tried tells nothing yet."""
    rows = [row for claim in claims if (row := _lock(claim)) is not None]
    for row in rows:
        row.state, row.attempts, row.next_try_at = "waiting", row.attempts - 1, next_try_at
    content.give_back([row for row in rows if row.attempts == 0])


@unit_of_work
def _hold(away: email.ServerUnavailable, claims: Sequence[_Claim] = ()) -> None:
    """Let every due mail wait for SERVER_PAUSE, because the server is away. None loses an attempt."""
    counters.mail("server_away")
    log.warning("mail.server_away", reason=str(away))
    now = clock.now()
    _return(claims, now)
    db.session.flush()
    due = Email.due(now).where(Email.state == "waiting").with_only_columns(Email.id).limit(HELD)
    held = {"last_error": away.code, "error_detail": away.detail[:300], "next_try_at": now + SERVER_PAUSE}
    db.session.execute(
        update(Email)
        .where(Email.id.in_(due.with_for_update(skip_locked=True)))
        .values(**held)
        .execution_options(synchronize_session=False)
    )


@unit_of_work
def _resume() -> None:
    """The server is back: the mails that were held for it are due now, without the error."""
    db.session.execute(
        update(Email)
        .where(Email.held())
        .values(last_error=None, error_detail=None, next_try_at=func.least(Email.next_try_at, clock.now()))
        .execution_options(synchronize_session=False)
    )


def _mark_dead(row: Email, code: str, detail: str | None, now: datetime) -> None:
    _end(row, "dead", code, detail, now)
    counters.mail("dead")
    log.error("mail.dead", kind=row.kind, outbox_id=row.id, reason=code, detail=detail)


def _end(row: Email, state: Any, code: str | None, detail: str | None, now: datetime) -> None:
    row.state, row.ended_at = state, now
    row.last_error, row.error_detail = code, detail[:300] if detail is not None else None


def _lock(claim: _Claim) -> Email | None:
    """The mail, locked; None when this claim does not hold any more."""
    row = db.session.get(Email, claim.id, with_for_update=True, populate_existing=True)
    if row is None or not row.is_claimed(claim.attempt):
        log.warning("mail.claim_lost", outbox_id=claim.id)
        return None
    return row
