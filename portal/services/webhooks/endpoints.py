"""The endpoints of a business: made, changed, rotated, turned off and on, and deleted by its owner."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from flask import current_app
from sqlalchemy import func, select, update

from portal.domain import clock
from portal.domain.events import EVENT_TYPES, EventType
from portal.domain.identifiers import public_id
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.gateways import webhook_addresses, webhook_signatures
from portal.models import Merchant, WebhookDelivery, WebhookEndpoint
from portal.models.security_events import SecurityKind
from portal.models.webhooks import PENDING_DELIVERIES, PREFIX, DisabledFor
from portal.services import emails, security_events
from portal.services.accounts import api_keys, email_changes, hats
from portal.services.idempotency import RequestKey
from portal.services.results import NOT_STORED, Result
from portal.services.unit_of_work import unit_of_work
from portal.services.webhooks import signing_secrets

LIVE_MAX: Final = 10
"""The most endpoints of a business."""
BOTH_SECRETS: Final = timedelta(hours=24)
"""The time after a rotation in which the previous secret signs, too."""


@dataclass(frozen=True, slots=True)
class EndpointCreated(Result):
    """The new endpoint. Its secret is not stored, and a replay has none."""

    endpoint_id: int
    secret: str | None = field(default=None, compare=False, repr=False, metadata=NOT_STORED)


@dataclass(frozen=True, slots=True)
class SecretRotated(Result):
    """The endpoint has a new secret, which is not stored, and a replay has none."""

    endpoint_id: int
    secret: str | None = field(default=None, compare=False, repr=False, metadata=NOT_STORED)


def find(merchant_id: int, name: str) -> WebhookEndpoint:
    """The endpoint of this business with this public id. Refuses: not_found."""
    row = db.session.scalar(WebhookEndpoint.of_merchant(merchant_id).where(WebhookEndpoint.public_id == _number(name)))
    if row is None:
        raise NotFound()
    return row


@unit_of_work
def create(
    actor: Actor, *, url: str, types: Collection[EventType] = (), request_key: RequestKey | None = None
) -> EndpointCreated:
    """Make an endpoint that gets the events that happen from now on, and mail the owners.

    `types`: only these; empty: all. Refuses: forbidden; email_changed; merchant_draft; too_many_endpoints (LIVE_MAX);
    Invalid on url (bad_url, not_https, refused_address) and types (unknown_event_type); idempotency_key_reused;
    still_running; busy.
    """
    merchant = _lock_merchant(actor)
    email_changes.require_settled(actor.user_id)
    if actor.standing == "draft":
        raise Refused("merchant_draft", about="webhooks")
    checked = _check(url, types) or url
    query = select(func.count()).select_from(WebhookEndpoint.of_merchant(merchant.id).order_by(None).subquery())
    if (db.session.scalar(query) or 0) >= LIVE_MAX:
        raise Refused("too_many_endpoints", limit=LIVE_MAX)
    secret = webhook_signatures.new_secret()
    row = WebhookEndpoint(
        merchant_id=merchant.id,
        created_by=actor.user_id,
        url=checked,
        types=_in_order(types),
        secret=signing_secrets.sealed(secret),
        created_at=clock.now(),
    )
    db.session.add(row)
    db.session.flush()
    _report("webhook_made", row, actor)
    _tell_owners(row, actor, is_new=True)
    return EndpointCreated(row.id, secret)


@unit_of_work
def change(
    name: str,
    *,
    actor: Actor,
    url: str | None = None,
    types: Collection[EventType] | None = None,
    enabled: bool | None = None,
) -> None:
    """Change what is given. Turning an endpoint off ends its waiting deliveries; what happens meanwhile isn't sent.

    A new address is mailed to the owners, and is tried at once. Refuses: forbidden; email_changed (for a new address);
    not_found; Invalid on url and types, as `create` does; busy.
    """
    row = lock(actor, name)
    checked = _check(url, row.types if types is None else types)
    if checked is not None and checked != row.url:
        email_changes.require_settled(actor.user_id)
        row.url, row.unreached, row.paused_until = checked, 0, None
        _report("webhook_changed", row, actor)
        _tell_owners(row, actor, is_new=False)
    if types is not None:
        row.types = _in_order(types)
    if enabled is True:
        row.disabled_at = row.disabled_for = row.failing_since = row.paused_until = None
        row.unreached = 0
    elif enabled is False and row.disabled_at is None:
        disable(row, "owner")


@unit_of_work
def rotate(name: str, *, actor: Actor, request_key: RequestKey | None = None) -> SecretRotated:
    """Give the endpoint a new secret. For BOTH_SECRETS requests are signed with the new and the previous one.

    Refuses: forbidden; email_changed; not_found; idempotency_key_reused; still_running; busy.
    """
    row = lock(actor, name)
    email_changes.require_settled(actor.user_id)
    secret = webhook_signatures.new_secret()
    row.old_secret, row.old_secret_until = row.secret, clock.now() + BOTH_SECRETS
    row.secret = signing_secrets.sealed(secret)
    _report("webhook_rotated", row, actor)
    return SecretRotated(row.id, secret)


@unit_of_work
def delete(name: str, *, actor: Actor) -> None:
    """Delete the endpoint. Its waiting deliveries end. Refuses: forbidden; not_found; busy."""
    row = lock(actor, name)
    if row.disabled_at is None:
        disable(row, "owner")
    row.deleted_at = clock.now()
    row.old_secret = row.old_secret_until = None


def disable(row: WebhookEndpoint, why: DisabledFor) -> None:
    """Inside a unit of work, the endpoint locked: send nothing more to it. Its waiting deliveries fail."""
    row.disabled_at, row.disabled_for = clock.now(), why
    pending = WebhookDelivery.endpoint_id == row.id, WebhookDelivery.state.in_(PENDING_DELIVERIES)
    db.session.execute(update(WebhookDelivery).where(*pending).values(state="failed", ended_at=clock.now()))


def allows_loopback() -> bool:
    """Endpoints on this machine, also by http, are for development."""
    return not current_app.config["QIST"].production


def permitted_hosts() -> tuple[str, ...]:
    """WEBHOOK_HOSTS: the only hosts to which requests may go; none: every public one."""
    hosts: tuple[str, ...] = current_app.config["QIST"].webhook_hosts
    return hosts


def url_faults(url: str) -> list[Fault]:
    """The faults of an address: bad_url, not_https or refused_address."""
    try:
        _stored(url)
    except webhook_addresses.BadUrl as bad:
        if bad.code == "refused_host":
            return [Fault("url", "refused_address", about="host")]
        return [Fault("url", bad.code if bad.code in ("refused_address", "not_https") else "bad_url")]
    return []


def lock(actor: Actor, name: str) -> WebhookEndpoint:
    """Inside a unit of work: the endpoint of the actor's business, locked. Refuses: forbidden; not_found."""
    merchant_id = actor.business("keys")
    hats.confirm(actor, "keys")
    query = WebhookEndpoint.of_merchant(merchant_id).where(WebhookEndpoint.public_id == _number(name))
    row = db.session.scalar(query.with_for_update(key_share=True).execution_options(populate_existing=True))
    if row is None:
        raise NotFound()
    return row


def _report(kind: SecurityKind, row: WebhookEndpoint, actor: Actor) -> None:
    security_events.record(kind, actor.user_id, merchant_id=row.merchant_id, endpoint=row.name)


def _tell_owners(row: WebhookEndpoint, actor: Actor, *, is_new: bool) -> None:
    """Mail the owners that events go to this address from now on."""
    for owner_id in api_keys.owner_ids(row.merchant_id):
        emails.post(
            "webhook_address",
            to_user_id=owner_id,
            dedupe_key=f"webhook_address:{row.id}:{owner_id}:{clock.now():%Y%m%dT%H%M%S%f}",
            data={"endpoint_id": row.id, "user_id": actor.user_id, "is_new": is_new},
        )


def _stored(url: str) -> str:
    """The address as it is stored. Refuses with BadUrl, as `check_url`."""
    return webhook_addresses.check_url(url, allow_loopback=allows_loopback(), hosts=permitted_hosts())


def _check(url: str | None, types: Collection[str]) -> str | None:
    """The address as it is stored; None for None. Refuses: Invalid on url and types."""
    faults = [] if url is None else url_faults(url)
    if any(name not in EVENT_TYPES for name in types):
        faults.append(Fault("types", "unknown_event_type", names=EVENT_TYPES))
    if faults:
        raise Invalid(*faults)
    return None if url is None else _stored(url)


def _in_order(types: Collection[EventType]) -> list[EventType]:
    return [name for name in EVENT_TYPES if name in types]


def _lock_merchant(actor: Actor) -> Merchant:
    merchant_id = actor.business("keys")
    merchant = db.session.get_one(Merchant, merchant_id, with_for_update={"key_share": True})
    hats.confirm(actor, "keys")
    return merchant


def _number(name: str) -> UUID:
    """Refuses: not_found, for a text that is no public id of an endpoint."""
    number = public_id(PREFIX, name)
    if number is None:
        raise NotFound()
    return number
