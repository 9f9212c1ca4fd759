"""Reminders: decide each rule of each installment once, and post one mail a day for a customer and merchant.

One statement decides a bounded batch of installments. The unique index on (installment, rule, due date) makes the
decision happen once, even when scans overlap or are killed (docs/reminders.md). Due dates are local dates of the plan's
time zone; the day of a mail is the merchant's local date. services/mail/reminders.py decides the mail's content when it
is sent.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import TextClause, text

from portal.domain import clock
from portal.extensions import db
from portal.models.plans.reminders import FIRST_DAY, LAST_DAY
from portal.services import emails
from portal.services.unit_of_work import after_commit, end_reading, unit_of_work

KIND: Final = "reminder"
"""The kind of the mail."""
BATCH: Final = 4_000
"""Installments of one statement."""
START: Final = date.min, 0
"""Before the first installment, by due date and id."""
CATCH_UP_DAYS: Final = 366
"""Days for which a missed last overdue reminder is caught up. A missed early one is until the first overdue rule."""
CARRY_OVER_DAYS: Final = 60
"""Days after which a reminder whose mail was never sent is dropped. Dead mails are kept for longer than that."""

_ZONES = """zones AS MATERIALIZED (
        SELECT name, CAST(wall AS timestamp) AS wall, CAST(wall AS date) AS today,
               extract(hour FROM CAST(wall AS timestamp)) AS hour
        FROM jsonb_each_text(CAST(:walls AS jsonb)) AS zone (name, wall)
    )"""

_POST = """INSERT INTO emails (kind, dedupe_key, to_user_id, merchant_id, data, state, next_try_at, created_at)
        SELECT :kind, format('reminder:%s:%s:%s', customer_id, merchant_id, local_day), customer_id, merchant_id,
               jsonb_build_object('day', local_day), 'waiting', :now, :now
        FROM (SELECT DISTINCT customer_id, merchant_id, local_day FROM {source}) AS mail
        ORDER BY customer_id, merchant_id, local_day
        ON CONFLICT (dedupe_key) DO NOTHING
        RETURNING id"""

_RULES: Final = f"""
    SELECT min(day) AS first, max(day) AS last, min(day) FILTER (WHERE day > 0) AS overdue, max(reach) AS reach
    FROM (SELECT DISTINCT reminder_days FROM merchants) AS merchant,
         LATERAL (SELECT coalesce(min(day) FILTER (WHERE day > 0), {LAST_DAY + 1}) FROM unnest(reminder_days) AS day)
             AS until (reach),
         LATERAL unnest(reminder_days) AS day
"""  # noqa: S608 (constants only)

_NEWEST: Final = f"""
    WITH {_ZONES}, scanned AS MATERIALIZED (
        SELECT id, plan_id, merchant_id, customer_id, due_date FROM installments
        WHERE remaining > 0 AND counted AND NOT disputed AND due_date BETWEEN {{first}} AND {{last}}
          AND (due_date, id) > (:after_date, :after_id)
        ORDER BY due_date, id LIMIT :batch
    ), newest AS (
        SELECT scanned.*, rule, theirs.today AS local_day,
               plan.muted_at IS NULL AND plan.reported_at IS NULL
               AND NOT EXISTS (SELECT FROM mutes WHERE mutes.merchant_id = scanned.merchant_id
                               AND mutes.customer_id = scanned.customer_id)
               AND customer.deactivated_at IS NULL AND merchant.deactivated_at IS NULL
               AND CASE WHEN rule < 0 THEN customer.early_reminders ELSE plan.automatic_method_id IS NULL END
               AND scanned.due_date + rule >= CAST(
                   greatest(plan.created_at, merchant.reminding_since) AT TIME ZONE 'UTC' + (here.wall - :utc) AS date)
               AND NOT EXISTS (SELECT FROM allocations AS part JOIN ledger_entries AS entry
                               ON entry.payment_id = part.payment_id AND entry.kind IN ('reversal', 'void')
                               WHERE part.installment_id = scanned.id AND part.returned > 0
                               AND entry.recorded_at AT TIME ZONE 'UTC' + (here.wall - :utc)
                                   >= scanned.due_date + rule + make_interval(hours => merchant.sending_hour))
               AS deliverable
        FROM scanned
        JOIN plans AS plan ON plan.id = scanned.plan_id
        JOIN merchants AS merchant ON merchant.id = scanned.merchant_id
        JOIN users AS customer ON customer.id = scanned.customer_id
        JOIN zones AS here ON here.name = plan.time_zone
        JOIN zones AS theirs ON theirs.name = merchant.time_zone
        CROSS JOIN LATERAL (
            SELECT max(day) AS rule FROM unnest(merchant.reminder_days) AS day
            WHERE scanned.due_date + day <= here.today
        ) AS passed
        WHERE here.hour >= merchant.sending_hour AND rule BETWEEN :least AND :most
    )"""  # noqa: S608 (constants only)
"""A batch of open installments due between two days, and the newest reached rule of each."""

_UNDECIDED: Final = """
        WHERE NOT EXISTS (SELECT FROM reminders WHERE installment_id = newest.id AND reminders.rule >= newest.rule)"""

_SCAN = text(f"""{_NEWEST.format(first=":first", last=":last")}, inserted AS (
        INSERT INTO reminders (installment_id, rule, due_date, plan_id, merchant_id, customer_id, local_day, state,
                               created_at)
        SELECT id, rule, due_date, plan_id, merchant_id, customer_id, local_day,
               CASE WHEN deliverable THEN 'waiting' ELSE 'dropped' END, :now
        FROM newest{_UNDECIDED}
        ORDER BY id
        ON CONFLICT (installment_id, rule, due_date) DO NOTHING
        RETURNING installment_id, rule, customer_id, merchant_id, local_day, state
    ), superseded AS (
        UPDATE reminders SET state = 'superseded' FROM inserted
        WHERE reminders.installment_id = inserted.installment_id AND reminders.state = 'waiting'
          AND reminders.rule < inserted.rule
    ), fresh AS (SELECT * FROM inserted WHERE state = 'waiting'
    ), posted AS ({_POST.format(source="fresh")}
    )
    SELECT (SELECT count(*) FROM fresh) AS fresh, (SELECT count(*) FROM posted) AS posted, count(*) AS scanned,
           (SELECT due_date FROM scanned ORDER BY due_date DESC, id DESC LIMIT 1) AS last_date,
           (SELECT id FROM scanned ORDER BY due_date DESC, id DESC LIMIT 1) AS last_id
    FROM scanned
""")  # noqa: S608 (constants only)

_CARRY = text(f"""
    WITH {_ZONES}, due AS MATERIALIZED (
        SELECT reminder.id, theirs.today,
               installment.remaining > 0 AND installment.counted AND NOT installment.disputed
               AND local_day > theirs.today - :carry_over_days AND merchant.deactivated_at IS NULL AS deliverable
        FROM reminders AS reminder
        JOIN installments AS installment ON installment.id = reminder.installment_id
        JOIN plans AS plan ON plan.id = reminder.plan_id
        JOIN merchants AS merchant ON merchant.id = reminder.merchant_id
        JOIN zones AS here ON here.name = plan.time_zone
        JOIN zones AS theirs ON theirs.name = merchant.time_zone
        WHERE reminder.state = 'waiting' AND email_id IS NULL AND local_day < :before AND local_day < theirs.today
          AND theirs.hour >= merchant.sending_hour
          AND (installment.remaining = 0 OR NOT EXISTS (
              SELECT FROM unnest(merchant.reminder_days) AS day
              WHERE day > reminder.rule AND reminder.due_date + day <= here.today))
        ORDER BY local_day, reminder.id LIMIT :batch
        FOR UPDATE OF reminder SKIP LOCKED
    ), carried AS (
        UPDATE reminders SET local_day = due.today, state = CASE WHEN due.deliverable THEN 'waiting' ELSE 'dropped' END
        FROM due WHERE reminders.id = due.id
        RETURNING reminders.customer_id, reminders.merchant_id, reminders.local_day, reminders.state
    ), fresh AS (SELECT * FROM carried WHERE state = 'waiting'
    ), posted AS ({_POST.format(source="fresh")}
    )
    SELECT (SELECT count(*) FROM carried) AS carried, (SELECT count(*) FROM posted) AS posted
""")  # noqa: S608


def _due(first: str, last: str, more: str = "") -> TextClause:
    """Some row, whenever a scan between these days would decide a reminder. A first batch that is full counts as one.

    The days are SQL on the rules of all merchants.
    """
    days = {"first": f"(SELECT {first} FROM rules)", "last": f"(SELECT {last} FROM rules)"}  # noqa: S608
    scan = _NEWEST.format(**days).replace("WITH", f"WITH rules AS MATERIALIZED ({_RULES}),", 1)
    return text(f"{scan} SELECT FROM newest{_UNDECIDED} UNION ALL (SELECT FROM scanned OFFSET :batch - 1) {more}")  # noqa: S608


_SOON_DUE: Final = _due(
    "CAST(:first_day AS date) - reach",
    "CAST(:last_day AS date) - first",
    "UNION ALL SELECT FROM reminders WHERE state = 'waiting' AND email_id IS NULL AND local_day < :last_day",
)
_OVERDUE_DUE: Final = _due(f"CAST(:first_day AS date) - (last + {CATCH_UP_DAYS})", "CAST(:last_day AS date) - overdue")


@dataclass(frozen=True, slots=True)
class _Look:
    """The instant of one scan, and the local time in each zone at it."""

    now: datetime
    walls: dict[str, datetime]

    @property
    def first_day(self) -> date:
        return min(self.walls.values()).date()

    @property
    def last_day(self) -> date:
        return max(self.walls.values()).date()

    @property
    def parameters(self) -> dict[str, Any]:
        return {"walls": clock.wall_times_json(self.now), "now": self.now, "batch": BATCH, "kind": KIND}


def send_due_soon_reminders() -> int:
    """Decide the reached rules up to the due day, only the newest of each installment, and post their mails.

    Also carries reminders that missed their day's mail over to today's. Returns the number of new reminders.
    """
    look = _look()
    rules = _rules()
    count = 0
    if rules.first is not None:
        due = look.first_day - timedelta(rules.reach), look.last_day - timedelta(rules.first)
        count = _scan(look, FIRST_DAY, 0, due)
    while _carry_over(look) == BATCH:
        pass
    return count


def send_overdue_reminders() -> int:
    """Decide the reached rules after the due day, only the newest of each installment, and post their mails.

    Returns the number of new reminders.
    """
    look = _look()
    rules = _rules()
    if rules.overdue is None:
        return 0
    due = look.first_day - timedelta(rules.last + CATCH_UP_DAYS), look.last_day - timedelta(rules.overdue)
    return _scan(look, 1, LAST_DAY, due)


def due_soon_query(now: datetime) -> TextClause:
    """Some row, whenever `send_due_soon_reminders` may find work."""
    return _asked(_SOON_DUE, now, FIRST_DAY, 0)


def overdue_query(now: datetime) -> TextClause:
    """Some row, whenever `send_overdue_reminders` may find work."""
    return _asked(_OVERDUE_DUE, now, 1, LAST_DAY)


def _asked(query: TextClause, now: datetime, least: int, most: int) -> TextClause:
    look = _look(now)
    days = {"first_day": look.first_day, "last_day": look.last_day}
    walls = clock.wall_times_json(now)
    return query.bindparams(walls=walls, batch=BATCH, **days, **_walk(look, least, most, START))


def _look(now: datetime | None = None) -> _Look:
    now = now or clock.now()
    return _Look(now, clock.wall_times(now))


def _walk(look: _Look, least: int, most: int, after: tuple[date, int]) -> dict[str, Any]:
    utc = look.now.replace(tzinfo=None)
    return {"utc": utc, "least": least, "most": most, "after_date": after[0], "after_id": after[1]}


def _rules() -> Any:
    """Over all merchants: first, last and first overdue rule, and the days past due until which early rules count."""
    row = db.session.execute(text(_RULES)).one()
    end_reading()
    return row


def _scan(look: _Look, least: int, most: int, due: tuple[date, date]) -> int:
    """Decide the open installments due on these local dates, batch by batch in the order of their index."""
    count, after = 0, START
    while True:
        new, scanned, last = _scan_batch(look, least, most, due, after)
        count += new
        if scanned < BATCH:
            return count
        after = last


@unit_of_work
def _scan_batch(
    look: _Look, least: int, most: int, due: tuple[date, date], after: tuple[date, int]
) -> tuple[int, int, tuple[date, int]]:
    row = db.session.execute(
        _SCAN,
        look.parameters | _walk(look, least, most, after) | {"first": due[0], "last": due[1]},
    ).one()
    if row.posted:
        after_commit(emails.enqueue_drain)
    return row.fresh, row.scanned, (row.last_date, row.last_id)


@unit_of_work
def _carry_over(look: _Look) -> int:
    """Move reminders that missed their day's mail, and are still the newest of their installment, to today's mail."""
    row = db.session.execute(
        _CARRY, look.parameters | {"before": look.last_day, "carry_over_days": CARRY_OVER_DAYS}
    ).one()
    if row.posted:
        after_commit(emails.enqueue_drain)
    return int(row.carried)
