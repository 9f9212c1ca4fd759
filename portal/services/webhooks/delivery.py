"""Send the waiting deliveries of webhooks: claims with a lease, retries with pauses, and a log of attempts.

A delivery is a row of the event's commit, so none is lost. A worker that is killed after the receiver's answer leaves a
claim that runs out: the delivery is sent again under the same id, and receivers leave out ids that they know. The body
is made when it is sent, from the rows as they are then, and is not stored.
"""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from flask import current_app
from sqlalchemy import delete, or_, select, union_all

from portal.domain import clock
from portal.domain.tokens import Undecryptable
from portal.extensions import db
from portal.gateways import webhooks
from portal.gateways.webhooks import Reply, Request, Resolve
from portal.models import Membership, Merchant, Plan, PublicEvent, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from portal.models.webhooks import DisabledFor
from portal.reports import events
from portal.services import emails
from portal.services.unit_of_work import MAX_SECONDS, end_reading, unit_of_work
from portal.services.webhooks import answers, endpoints, signing_secrets, turns

log = structlog.get_logger(__name__)

PAUSES: Final = (10, 60, 300, 1_800, 7_200, 21_600)
"""Seconds after each failure; the last one repeats until `give_up_at`."""
ENDPOINT_PAUSES: Final = (10, 60, 300, 1_800)
"""Seconds in which nothing is sent to an endpoint that gave no answer, by the pauses since its last success."""
FAILING: Final = timedelta(days=5)
"""The time without a success after which an endpoint is disabled."""
BATCH: Final = 16
AT_ONCE: Final = 8
"""Requests at the same time."""
CANDIDATES: Final = 4 * BATCH
"""Rows among which a batch is locked, so that several workers find some each."""
LEASE: Final = timedelta(minutes=2)
"""Duration of a claim: longer than the requests of a batch and their marks."""
BUDGET: Final = 15.0
"""Seconds after which a run claims no further batch."""
MARKING: Final = 20.0
"""Seconds after which no further delivery of a batch is marked or released."""
MAX_STEP_SECONDS: Final = MAX_SECONDS + BATCH / AT_ONCE * webhooks.MAX_SECONDS + MARKING + MAX_SECONDS
"""Upper bound for one batch on a slow database: claim and compose, send, mark and release."""
RETENTION: Final = timedelta(days=30)
"""Age at which a delivery that ended, or that waits in vain, is deleted with its log."""

Bodies = Callable[[int, Sequence[PublicEvent]], dict[int, bytes]]
"""Renders events of one merchant, by the event's id. portal/job_app.py registers it as the extension `event_bodies`."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim on one delivery. `attempt` tells the claims of the same delivery apart. The plan was `customer_id`'s."""

    id: int
    attempt: int
    endpoint_id: int
    event_id: int
    customer_id: int


def deliver_due(limit: int = 500, resolve: Resolve = webhooks.resolve) -> int:
    """Send up to `limit` due deliveries. Returns how many were sent, well or not.

    The businesses take turns, and so do the endpoints of each; the oldest delivery of an endpoint comes first. An
    endpoint that gives no answer is paused. A delivery that can't be made or marked delays no other one. Each failure
    is followed by a longer pause; after redelivery.KEPT_TRYING the delivery is given up. An endpoint that answers 410,
    or that has failed for FAILING, is disabled, and the owners are mailed. Nothing is sent for a deactivated business.
    """
    sent, stop = 0, time.monotonic() + BUDGET
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while sent < limit and time.monotonic() < stop:
            claims = _claim(min(BATCH, limit - sent))
            if not claims:
                break
            requests = _compose(claims)
            options = {"allow_loopback": endpoints.allows_loopback(), "hosts": endpoints.permitted_hosts()}

            def send(request: Request, options: dict[str, Any] = options) -> Reply | None:
                try:
                    return webhooks.send(request, resolve=resolve, **options)
                except Exception:
                    log.exception("webhook.send_failed", event=request.name)
                    return None

            replies = dict(zip(requests, pool.map(send, requests.values()), strict=True))
            _finish({claim: replies.get(claim) for claim in claims})
            sent += len(claims)
    return sent


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` deliveries that ended RETENTION ago, with their attempts. Returns how many.

    So are those that were due RETENTION ago for a deactivated business or a disabled endpoint: nothing ends them.
    """
    before = clock.now() - RETENTION
    ended = select(WebhookDelivery.id).where(WebhookDelivery.ended_at < before).order_by(WebhookDelivery.ended_at)
    stopped = or_(Merchant.deactivated_at.is_not(None), WebhookEndpoint.disabled_at.is_not(None))
    stuck = select(WebhookDelivery.id).join(WebhookDelivery.endpoint).join(WebhookEndpoint.merchant)
    stuck = stuck.where(WebhookDelivery.is_due(before), stopped)
    rows = union_all(ended.limit(limit), stuck.limit(limit)).limit(limit)
    old = delete(WebhookDelivery).where(WebhookDelivery.id.in_(rows)).returning(WebhookDelivery.id)
    return len(db.session.execute(old).all())


@unit_of_work
def _claim(limit: int) -> list[_Claim]:
    now = clock.now()
    chosen = turns.candidates(now, CANDIDATES)
    query = (
        select(WebhookDelivery, Plan.customer_id)
        .join(chosen, chosen.c.id == WebhookDelivery.id)
        .join(PublicEvent, PublicEvent.event_id == WebhookDelivery.event_id)
        .join(Plan, Plan.id == PublicEvent.plan_id)
        .where(WebhookDelivery.is_due(now))
        .order_by(chosen.c.turn, chosen.c.next_try_at, chosen.c.id)
        .limit(limit)
    )
    rows = db.session.execute(query.with_for_update(skip_locked=True, of=WebhookDelivery)).all()
    ended = or_(WebhookEndpoint.disabled_at.is_not(None), WebhookEndpoint.deleted_at.is_not(None))
    off = select(WebhookEndpoint.id).where(WebhookEndpoint.id.in_({row.endpoint_id for row, _ in rows}), ended)
    stopped = set(db.session.scalars(off)) if rows else set()
    claims = []
    for row, customer_id in rows:
        if row.endpoint_id in stopped:  # disabled while the event was committed
            _end(row, "failed", now)
            continue
        if row.give_up_at <= now and row.attempts > row.attempts_before:
            _end(row, "failed", now)
            continue
        row.state, row.attempts, row.next_try_at = "claimed", row.attempts + 1, now + LEASE
        claims.append(_Claim(row.id, row.attempts, row.endpoint_id, row.event_id, customer_id))
    return claims


def _compose(claims: Sequence[_Claim]) -> dict[_Claim, Request]:
    """The signed requests. Leaves out an event that can't be rendered, an endpoint whose secret can't be read, and one
    that was disabled, or whose business was deactivated, after the claim.
    """
    end_reading()
    chosen = select(WebhookEndpoint).where(WebhookEndpoint.id.in_({claim.endpoint_id for claim in claims}))
    chosen = chosen.where(WebhookEndpoint.disabled_at.is_(None), WebhookEndpoint.deleted_at.is_(None))
    chosen = chosen.join(WebhookEndpoint.merchant).where(Merchant.deactivated_at.is_(None))
    known = {row.id: row for row in db.session.scalars(chosen)}
    published = {row.event_id: row for row in events.find([claim.event_id for claim in claims])}
    bodies: dict[int, bytes] = {}
    for merchant_id in {row.merchant_id for row in published.values()}:
        bodies |= _render(merchant_id, [row for row in published.values() if row.merchant_id == merchant_id])
    requests = {}
    for claim in claims:
        endpoint = known.get(claim.endpoint_id)
        if endpoint is None or claim.event_id not in bodies:
            continue
        try:
            secrets = signing_secrets.secrets_of(endpoint)
        except Undecryptable:
            log.error("webhook.secret_unreadable", endpoint=endpoint.name)
            continue
        requests[claim] = Request(endpoint.url, published[claim.event_id].name, bodies[claim.event_id], secrets)
    end_reading()
    return requests


def _render(merchant_id: int, rows: Sequence[PublicEvent]) -> dict[int, bytes]:
    """The bodies of events of one business, by the event's id. After a failure each is rendered alone."""
    bodies_of: Bodies = current_app.extensions["event_bodies"]
    event_ids = [row.event_id for row in rows]
    try:
        return bodies_of(merchant_id, rows)
    except Exception:
        end_reading()
        log.exception("webhook.render_failed", business=merchant_id, events=event_ids)
    bodies: dict[int, bytes] = {}
    if len(rows) > 1:
        for row in rows:
            bodies |= _render(merchant_id, [row])
    return bodies


def _finish(replies: dict[_Claim, Reply | None]) -> None:
    """Mark what was sent, then release what was not sent or not marked.

    After a mark that failed, other deliveries of its endpoint are only released: the endpoint may stay locked. A claim
    that is not released within MARKING runs out with its lease.
    """
    stop, left = time.monotonic() + MARKING, []
    stuck: set[int] = set()
    for claim, reply in replies.items():
        if reply is None or claim.endpoint_id in stuck or time.monotonic() > stop:
            left.append(claim)
            continue
        try:
            _mark(claim, reply)
        except Exception:
            log.exception("webhook.mark_failed", delivery=claim.id)
            stuck.add(claim.endpoint_id)
            left.append(claim)
    for claim in left:
        if time.monotonic() > stop:
            break
        try:
            _release(claim, was_sent=replies[claim] is not None)
        except Exception:
            log.exception("webhook.release_failed", delivery=claim.id)


@unit_of_work
def _mark(claim: _Claim, reply: Reply) -> None:
    """Log the attempt and mark the delivery. The endpoint is locked first, as by its owner's changes."""
    locked = select(WebhookEndpoint, answers.shared_lock(claim.customer_id))
    locked = locked.where(WebhookEndpoint.id == claim.endpoint_id).with_for_update(key_share=True, of=WebhookEndpoint)
    endpoint = db.session.execute(locked.execution_options(populate_existing=True)).one()[0]
    signing_secrets.seal_again(endpoint)
    row = _lock(claim)
    db.session.add(
        WebhookAttempt(
            delivery_id=claim.id,
            started_at=reply.started_at,
            duration_ms=reply.duration_ms,
            status=reply.status,
            problem=reply.problem,
            excerpt=answers.kept_excerpt(reply.excerpt, claim.event_id, claim.customer_id),
        )
    )
    now = clock.now()
    if reply.succeeded:
        endpoint.failing_since = endpoint.paused_until = None
        endpoint.unreached = 0
        if row is not None:
            _end(row, "delivered", now)
        return
    log.warning("webhook.failed", endpoint=endpoint.name, status=reply.status, problem=reply.problem)
    endpoint.failing_since = endpoint.failing_since or now
    if reply.status is None:
        _pause(endpoint, reply, now)
    if row is not None:
        _try_later(row, _pause_of(row), now)
    if endpoint.disabled_at is None and reply.status == 410:
        _disable(endpoint, "gone")
    elif endpoint.disabled_at is None and endpoint.failing_since <= now - FAILING:
        _disable(endpoint, "failing")


@unit_of_work
def _release(claim: _Claim, *, was_sent: bool) -> None:
    """Return a delivery that was not sent, or not marked. One that was not sent loses no attempt."""
    row = _lock(claim)
    if row is None:
        return
    if was_sent:
        _try_later(row, _pause_of(row), clock.now())
    else:
        row.attempts -= 1
        _try_later(row, timedelta(minutes=1), clock.now())


def _pause_of(row: WebhookDelivery) -> timedelta:
    """The pause after this many failures, a little longer by chance."""
    failures = min(row.attempts - row.attempts_before, len(PAUSES))
    return timedelta(seconds=PAUSES[failures - 1] * random.uniform(1, 1.25))  # noqa: S311


def _try_later(row: WebhookDelivery, pause: timedelta, now: datetime) -> None:
    """Wait for the next try. After `give_up_at` there is none."""
    row.state, row.next_try_at = "waiting", now + pause
    if row.next_try_at > row.give_up_at:
        _end(row, "failed", now)


def _pause(endpoint: WebhookEndpoint, reply: Reply, now: datetime) -> None:
    """Send nothing to the endpoint for a while. The requests of one batch that get no answer make one pause."""
    if endpoint.paused_until is not None and reply.started_at < endpoint.paused_until:
        return
    seconds = ENDPOINT_PAUSES[min(endpoint.unreached, len(ENDPOINT_PAUSES) - 1)]
    endpoint.paused_until = now + timedelta(seconds=seconds)
    endpoint.unreached = min(endpoint.unreached + 1, 100)


def _disable(endpoint: WebhookEndpoint, why: DisabledFor) -> None:
    """Disable the endpoint, and mail the owners."""
    db.session.flush()
    endpoints.disable(endpoint, why)
    owners = select(Membership.user_id).where(
        Membership.merchant_id == endpoint.merchant_id, Membership.role == "owner"
    )
    for owner_id in db.session.scalars(owners):
        emails.post(
            "webhook_disabled",
            to_user_id=owner_id,
            dedupe_key=f"webhook_disabled:{endpoint.id}:{owner_id}:{clock.now():%Y%m%dT%H%M%S}",
            data={"endpoint_id": endpoint.id},
        )


def _end(row: WebhookDelivery, state: str, now: datetime) -> None:
    row.state, row.ended_at = state, now  # type: ignore[assignment]


def _lock(claim: _Claim) -> WebhookDelivery | None:
    """The delivery, locked; None when this claim does not hold any more."""
    row = db.session.get(WebhookDelivery, claim.id, with_for_update=True, populate_existing=True)
    if row is None or row.state != "claimed" or row.attempts != claim.attempt:
        log.warning("webhook.claim_lost", delivery=claim.id)
        return None
    return row
