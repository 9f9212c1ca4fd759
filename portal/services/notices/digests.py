"""Digests: post one mail with the news of a business to each owner and manager, at 08:00 or as soon as there is news.

The mail is composed when it is sent (services/mail/business/digests.py). Its window of events begins where the last
digest of its reader ended and is taken when the mail is composed for the first time, under a lock. So two digests never
tell the same event, and after a downtime one digest tells everything since the last.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import TextClause, func, select, text

from portal.domain import clock
from portal.extensions import db
from portal.models import Email, Membership, Merchant, NoticeSettings, PublicEvent
from portal.models.notices import DIGESTED, Notice
from portal.services import emails
from portal.services.notices.readers import DIGEST_TIME, ROLES
from portal.services.unit_of_work import unit_of_work

KIND: Final = "digest"
"""The kind of the mail."""
BATCH: Final = 500
"""Members of one statement."""
LATE_FOR: Final = timedelta(days=7)
"""Time after `late_at` at which a late installment is told."""
MAX_LATE_DAYS: Final = 33
"""Most days from an installment's due date to its `late_at`: grace days, and a zone's distance from UTC."""
TYPES_OF: Final[dict[Notice, tuple[str, ...]]] = {
    "paid": ("payment.succeeded",),
    "completed": ("plan.completed",),
    "refunded": ("refund.succeeded",),
    "declined": ("payment.declined",),
    "automatic": ("payment.declined", "automatic_payment.changed"),
}
"""The public types of the events that a notice tells. "late" has none: it is a comparison."""

_IS_NEW: Final = """member.role = ANY(:roles) AND NOT EXISTS (
        SELECT FROM notice_settings AS chosen
        WHERE chosen.user_id = member.user_id AND chosen.merchant_id = member.merchant_id)"""

_ENSURE = text(f"""
    INSERT INTO notice_settings (user_id, merchant_id, next_day, told_number, told_at)
    SELECT member.user_id, member.merchant_id,
           member.created_at AT TIME ZONE 'UTC' + (CAST(zone.wall AS timestamp) - :utc) + interval '1 day' - :time,
           coalesce((
               SELECT told.number FROM public_events AS told JOIN events AS event ON event.id = told.event_id
               WHERE told.merchant_id = member.merchant_id AND told.number IS NOT NULL
                 AND event.created_at < member.created_at
               ORDER BY told.number DESC LIMIT 1), 0),
           member.created_at
    FROM memberships AS member
    JOIN merchants AS merchant ON merchant.id = member.merchant_id
    JOIN jsonb_each_text(CAST(:walls AS jsonb)) AS zone (name, wall) ON zone.name = merchant.time_zone
    WHERE {_IS_NEW}
    LIMIT :batch
    ON CONFLICT DO NOTHING
    RETURNING user_id
""")  # noqa: S608 (constants only)
"""Settings for members without. Their first digest begins with the membership, and is due at the 08:00 after it."""

_HAS_NEWS: Final = """(
        EXISTS (
            SELECT FROM jsonb_to_recordset(CAST(:types AS jsonb)) AS wanted (notice text, type text)
            JOIN public_events AS event
              ON event.merchant_id = chosen.merchant_id AND event.type = wanted.type AND event.number > told_number
            WHERE NOT wanted.notice = ANY(chosen.off)
        ) OR NOT 'late' = ANY(chosen.off) AND EXISTS (
            SELECT FROM installments AS late
            WHERE late.merchant_id = chosen.merchant_id AND remaining > held AND counted AND NOT disputed
              AND due_date BETWEEN CAST(told_at - :late_for AS date) - CAST(:late_days AS integer) AND :last_due
              AND late_at > told_at - :late_for AND late_at <= :now - :late_for
        )
    )"""

_MORNINGS: Final = """
    FROM notice_settings AS chosen
    JOIN merchants AS merchant ON merchant.id = chosen.merchant_id
    JOIN jsonb_each_text(CAST(:walls AS jsonb)) AS zone (name, wall) ON zone.name = merchant.time_zone
    WHERE next_day <= :latest AND next_day <= CAST(zone.wall AS date)
      AND CAST(zone.wall AS timestamp) >= CAST(zone.wall AS date) + :time"""

_DAILY = text(f"""
    SELECT chosen.user_id, chosen.merchant_id, CAST(zone.wall AS date) AS today,
           {_HAS_NEWS} AS news, (SELECT coalesce(max(number), 0) FROM public_events) AS last_number {_MORNINGS}
    ORDER BY next_day, chosen.merchant_id, chosen.user_id LIMIT :batch
    FOR UPDATE OF chosen SKIP LOCKED
""")  # noqa: S608 (constants only)
"""The members whose 08:00 has come, and whether there is something to tell. `last_number` is of the same snapshot: an
event that is numbered later belongs to the next digest."""

_AT_ONCE = text(f"""
    SELECT chosen.user_id, chosen.merchant_id, told_number, told_at FROM notice_settings AS chosen
    WHERE at_once AND (chosen.merchant_id, chosen.user_id) > (:after_merchant, :after_user) AND {_HAS_NEWS}
    ORDER BY chosen.merchant_id, chosen.user_id LIMIT :batch
""")  # noqa: S608
"""The members who want the digest at once, with something to tell."""

_DUE = text(f"""
    SELECT FROM memberships AS member WHERE {_IS_NEW}
    UNION ALL SELECT {_MORNINGS}
    UNION ALL SELECT FROM notice_settings AS chosen WHERE at_once AND {_HAS_NEWS}
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class Window:
    """The part of one digest: the public events with a number above `after` up to `until_number`, and the
    installments that were late for LATE_FOR after `since` up to `until` (aware). `on`: the notices that the reader
    gets, as of now.
    """

    user_id: int
    merchant: Merchant
    on: frozenset[Notice]
    after: int
    until_number: int
    since: datetime
    until: datetime


def post_due() -> int:
    """Post the digests that are due: at 08:00 in the business's zone, or at once for members who chose that.

    A digest without news is not posted. A night's or a downtime's digest waits for the next morning. Two runs at once
    are safe, and so is a kill at any point. Returns the number of new mails.
    """
    now = clock.now()
    news, mornings = _news(now), _mornings(now)
    members = mornings | {"utc": now.replace(tzinfo=None), "roles": list(ROLES), "batch": BATCH}
    while _ensure(members) == BATCH:
        pass
    total = 0
    while True:
        posted, looked = _post_daily(news | mornings)
        total += posted
        if looked < BATCH:
            break
    after = (0, 0)
    while True:
        posted, looked, after = _post_at_once(news | {"after_merchant": after[0], "after_user": after[1]}, now)
        total += posted
        if looked < BATCH:
            return total


@unit_of_work
def take(email_id: int) -> Window | None:
    """The window of this mail. The first call takes everything since the reader's last digest; later calls, for another
    attempt under the same Message-ID, keep to it. None if the reader is told nothing about the business any more.
    """
    mail = db.session.get_one(Email, email_id, with_for_update=True, populate_existing=True)
    key = mail.user_id, mail.data["merchant_id"]
    member = db.session.get(Membership, key, populate_existing=True)
    chosen = db.session.get(NoticeSettings, key, with_for_update=True, populate_existing=True)
    if member is None or member.role not in ROLES or chosen is None:
        return None
    if "until" not in mail.data:
        now = clock.now()
        number = db.session.scalar(select(func.coalesce(func.max(PublicEvent.number), 0))) or 0
        mail.data = {
            **mail.data,
            "after": chosen.told_number,
            "until_number": number,
            "since": chosen.told_at.isoformat(),
            "until": now.isoformat(),
        }
        chosen.told_number, chosen.told_at = number, now
    data = mail.data
    return Window(
        mail.user_id,
        db.session.get_one(Merchant, key[1], populate_existing=True),
        frozenset(DIGESTED) - frozenset(chosen.off),
        data["after"],
        data["until_number"],
        datetime.fromisoformat(data["since"]),
        datetime.fromisoformat(data["until"]),
    )


@unit_of_work
def keep_names(email_id: int, customer_ids: list[int]) -> None:
    """Keep whom the mail names: an erasure of one of them deletes it."""
    mail = db.session.get_one(Email, email_id, with_for_update=True, populate_existing=True)
    mail.data = {**mail.data, "customers": customer_ids}


@unit_of_work
def _ensure(parameters: dict[str, Any]) -> int:
    return len(db.session.execute(_ENSURE, parameters).all())


@unit_of_work
def _post_daily(parameters: dict[str, Any]) -> tuple[int, int]:
    """One batch of members whose 08:00 has come. Returns (mails posted, members looked at)."""
    rows = db.session.execute(_DAILY, parameters).all()
    posted = 0
    for row in rows:
        chosen = db.session.get_one(NoticeSettings, (row.user_id, row.merchant_id))
        chosen.next_day = row.today + timedelta(days=1)
        if row.news:
            posted += _post(row.user_id, row.merchant_id, f"{row.today:%Y%m%d}")
        else:
            chosen.told_number, chosen.told_at = row.last_number, parameters["now"]
    return posted, len(rows)


@unit_of_work
def _post_at_once(parameters: dict[str, Any], now: datetime) -> tuple[int, int, tuple[int, int]]:
    """One batch of members with news. Returns (mails posted, members looked at, the last one).

    The key names where the last digest ended: while a mail waits to be composed, no second one is posted. The hour is
    there for a mail that died before.
    """
    rows = db.session.execute(_AT_ONCE, parameters).all()
    posted = sum(
        _post(row.user_id, row.merchant_id, f"{row.told_number}:{row.told_at:%Y%m%d%H%M%S}:{now:%Y%m%d%H}")
        for row in rows
    )
    last = (rows[-1].merchant_id, rows[-1].user_id) if rows else (0, 0)
    return posted, len(rows), last


def _post(user_id: int, merchant_id: int, which: str) -> bool:
    return emails.post_new(
        KIND,
        to_user_id=user_id,
        dedupe_key=f"{KIND}:{merchant_id}:{user_id}:{which}",
        data={"merchant_id": merchant_id},
    )


def due_query(now: datetime) -> TextClause:
    """Some row, whenever `post_due` may find work."""
    news = {name: value for name, value in _news(now).items() if name != "batch"}
    return _DUE.bindparams(**news, **_mornings(now), roles=list(ROLES))


def _news(now: datetime) -> dict[str, Any]:
    types = [{"notice": notice, "type": type_} for notice, names in TYPES_OF.items() for type_ in names]
    return {
        "types": json.dumps(types), "now": now, "late_for": LATE_FOR, "late_days": MAX_LATE_DAYS,
        "last_due": (now - LATE_FOR).date() + timedelta(days=1), "batch": BATCH,
    }  # fmt: skip


def _mornings(now: datetime) -> dict[str, Any]:
    """The local time in each zone, the time of a digest, and the latest local date on earth."""
    return {"walls": clock.wall_times_json(now), "time": DIGEST_TIME, "latest": (now + timedelta(days=1)).date()}
