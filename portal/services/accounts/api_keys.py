"""API keys of businesses: `qist_<prefix>.<secret>`. The database holds a digest of the secret only."""

import base64
import contextlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import func, or_, select, update

from portal.domain import clock, money, permissions, typed_text
from portal.domain.permissions import GIVEN_TO_KEYS, OF_ROLE, Actor, Permission
from portal.domain.tokens import digest
from portal.errors import Busy, Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import ApiKey, Membership, Merchant
from portal.services import emails, security_events
from portal.services.accounts import email_changes, hats
from portal.services.accounts.tokens import BadToken
from portal.services.idempotency import RequestKey
from portal.services.results import NOT_STORED, Result
from portal.services.text_faults import text_faults
from portal.services.unit_of_work import unit_of_work

SCHEME: Final = "qist_"
"""The beginning of every API key, which tells it from an access token."""
LIVE_MAX: Final = 50
LAST_USED_PRECISION: Final = timedelta(minutes=1)
"""The precision of `last_used_at`, which saves a write for most requests."""

_SHAPE = re.compile(r"qist_([a-z2-7]{10})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKeyCreated(Result):
    """The new key. Its text is not stored, and a replay has none."""

    name: str
    text: str | None = field(default=None, compare=False, repr=False, metadata=NOT_STORED)


def create(
    actor: Actor,
    *,
    name: str,
    given: Collection[Permission] = (),
    refund_limit: int = 0,
    expires_on: date | None = None,
    request_key: RequestKey | None = None,
) -> str:
    """Create a key, and tell the owners by mail. Returns it; it can't be read again.

    `given` are its permissions beside reading, of GIVEN_TO_KEYS. `expires_on` is its last day, a local date (None: no
    end). `refund_limit` bounds its refunds a day, in minor units of the home currency; 0: it refunds nothing.
    Refuses: forbidden; email_changed; Invalid on name, permissions (unknown, or beyond the maker's role), refund_limit
    (also of a key that may not refund) and expires_on (before the merchant's today); too_many_keys (LIVE_MAX live
    keys); already_made (a replay, whose response does not hold the key); idempotency_key_reused; still_running; busy.
    """
    created = _create(actor, name, sorted(given), refund_limit, expires_on, request_key=request_key)
    if created.text is None:
        raise Refused("already_made")
    return created.text


@unit_of_work
def _create(
    actor: Actor,
    name: str,
    given: list[Permission],
    refund_limit: int,
    expires_on: date | None,
    *,
    request_key: RequestKey | None,
) -> ApiKeyCreated:
    merchant_id = actor.business("keys")
    email_changes.require_settled(actor.user_id)
    merchant = db.session.get_one(Merchant, merchant_id, with_for_update={"key_share": True})
    hats.confirm(actor, "keys")
    maker = db.session.get_one(Membership, (actor.user_id, merchant_id))
    faults = text_faults("name", name, if_empty=Fault("name", "required"))
    if expires_on is not None and not clock.today(merchant.time_zone) <= expires_on <= date(2199, 12, 31):
        faults.append(Fault("expires_on", "date_in_past"))
    if not 0 <= refund_limit <= money.MAX_MINOR:
        faults.append(Fault("refund_limit", "bad_amount", about="zero"))
    elif refund_limit and "refund" not in given:
        faults.append(Fault("refund_limit", "reads_only"))
    if not set(given) <= OF_ROLE[maker.role] & set(GIVEN_TO_KEYS):
        faults.append(Fault("permissions", "unknown_permission"))
    if faults:
        raise Invalid(*faults)
    now = clock.now()
    live = select(func.count()).select_from(ApiKey).where(ApiKey.merchant_id == merchant_id, ApiKey.is_live(now))
    if (db.session.scalar(live) or 0) >= LIVE_MAX:
        raise Refused("too_many_keys", limit=LIVE_MAX)
    prefix = base64.b32encode(secrets.token_bytes(10)).decode().lower()[:10]
    secret = secrets.token_urlsafe(32)
    key = ApiKey(
        merchant_id=merchant_id,
        created_by=actor.user_id,
        maker_role=maker.role,
        name=typed_text.read(name),
        prefix=prefix,
        secret_hash=digest(secret),
        permissions=given,
        refund_limit=refund_limit,
        created_at=now,
        expires_at=_end_of(expires_on, merchant.time_zone) if expires_on else None,
    )
    db.session.add(key)
    db.session.flush()
    security_events.record("key_made", actor.user_id, merchant_id=merchant_id, key=key.id, prefix=prefix)
    for owner_id in owner_ids(merchant_id):
        emails.post(
            "api_key_made",
            to_user_id=owner_id,
            dedupe_key=f"api_key_made:{key.id}:{owner_id}",
            data={"key_id": key.id},
        )
    return ApiKeyCreated(name, f"{SCHEME}{prefix}.{secret}")


@unit_of_work
def revoke(key_id: int, *, actor: Actor) -> None:
    """Revoke a key, at once and for good. A revoked key keeps its first instant.

    Refuses: forbidden; email_changed; not_found; busy.
    """
    merchant_id = actor.business("keys")
    hats.confirm(actor, "keys")
    email_changes.require_settled(actor.user_id)
    key = db.session.scalar(
        select(ApiKey).where(ApiKey.id == key_id, ApiKey.merchant_id == merchant_id).with_for_update(key_share=True)
    )
    if key is None:
        raise NotFound()
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        security_events.record("key_revoked", actor.user_id, merchant_id=merchant_id, key=key.id, prefix=key.prefix)


def revoke_of(user_id: int) -> int:
    """Inside a unit of work: revoke every live key that this person made. Returns how many.

    Refuses: email_changed.
    """
    email_changes.require_settled(user_id)
    mine = select(ApiKey).where(ApiKey.created_by == user_id, ApiKey.is_live(clock.now()))
    keys = db.session.scalars(mine.order_by(ApiKey.id).with_for_update(key_share=True)).all()
    for key in keys:
        key.revoked_at = clock.now()
        security_events.record("key_revoked", user_id, merchant_id=key.merchant_id, key=key.id, prefix=key.prefix)
    return len(keys)


def count_of(user_id: int, *, undoing: bool = False) -> int:
    """The number of live keys that this person made and can revoke now.

    While a change of the email can be undone it is 0, except for the person who undoes it.
    """
    if not undoing and email_changes.open_until(user_id) is not None:
        return 0
    live = select(func.count()).select_from(ApiKey).where(ApiKey.created_by == user_id, ApiKey.is_live(clock.now()))
    return db.session.scalar(live) or 0


def owner_ids(merchant_id: int) -> list[int]:
    """The ids of the owners of a business."""
    query = select(Membership.user_id).where(Membership.merchant_id == merchant_id, Membership.role == "owner")
    return list(db.session.scalars(query.order_by(Membership.user_id)))


def find(token: str) -> ApiKey:
    """The key of this token, with its maker, in one statement. Refuses: bad_token."""
    shape = _SHAPE.fullmatch(token)
    if shape is None:
        raise BadToken()
    prefix, secret = shape.groups()
    key = db.session.scalar(ApiKey.live(prefix, clock.now()))
    if key is None or not hmac.compare_digest(key.secret_hash, digest(secret)):
        raise BadToken()
    return key


def is_use_due(key: ApiKey) -> bool:
    """Whether the last noted use of the key is older than LAST_USED_PRECISION."""
    return key.last_used_at is None or clock.now() - key.last_used_at > LAST_USED_PRECISION


def note_use(key_id: int, address: str) -> None:
    """Write that the key was used now, from this address. Called after the response; a busy row is left as it is."""
    with contextlib.suppress(Busy):
        _update_last_used(key_id, address)


def actor_of(key: ApiKey) -> Actor:
    """The actor of a key: its business, and what it may do, never more than its maker's role then and now."""
    roles = [key.maker_role, *([key.membership.role] if key.membership is not None else [])]
    standing = key.merchant.standing
    return permissions.key(
        key.id, key.created_by, key.merchant_id, given=key.permissions, roles=roles, standing=standing
    )


@unit_of_work
def _update_last_used(key_id: int, address: str) -> None:
    now = clock.now()
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now - LAST_USED_PRECISION)
    db.session.execute(
        update(ApiKey).where(ApiKey.id == key_id, stale).values(last_used_at=now, last_used_from=address)
    )


def _end_of(day: date, zone: str) -> datetime:
    return clock.midnight(day + timedelta(days=1), zone)
