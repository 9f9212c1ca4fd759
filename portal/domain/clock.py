"""The only module that reads the clock."""

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

NOT_ZONES: Final = frozenset({"Factory", "localtime", "posixrules"})
"""Files of the time zone database that are no zones: "not set yet", and links to this machine's own setting."""

_pretended: ContextVar[datetime | None] = ContextVar("pretended", default=None)


def now() -> datetime:
    """This instant, in UTC."""
    return _pretended.get() or datetime.now(UTC)


@contextmanager
def pretend(instant: datetime) -> Iterator[None]:
    """Make `now` return `instant` (aware) inside the block. Only for demo data, which has a past."""
    before = _pretended.set(instant.astimezone(UTC))
    try:
        yield
    finally:
        _pretended.reset(before)


def today(zone: str) -> date:
    """The present calendar date in `zone` (an IANA name such as "Asia/Riyadh")."""
    return local_date(now(), zone)


def local_date(instant: datetime, zone: str) -> date:
    """The calendar date of `instant` (aware) in `zone`."""
    return instant.astimezone(ZoneInfo(zone)).date()


def midnight(day: date, zone: str) -> datetime:
    """The instant (UTC) at which `day` begins in `zone`: its first that exists, where the clocks skip midnight."""
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)


def wall_times(instant: datetime) -> dict[str, datetime]:
    """The local time of `instant` (aware) in every zone: naive datetimes by IANA name.

    SQL statements take these as a parameter, so the database's own time zone tables, perhaps older, decide nothing.
    """
    return {name: instant.astimezone(zone).replace(tzinfo=None) for name, zone in _files().items()}


def wall_times_json(instant: datetime) -> str:
    """Those times as the text of a JSON object, for a statement's parameter."""
    return json.dumps({name: wall.isoformat() for name, wall in wall_times(instant).items()})


@functools.cache
def zones() -> dict[str, ZoneInfo]:
    """Every time zone that an account may choose, by its IANA name."""
    return {name: zone for name, zone in _files().items() if name not in NOT_ZONES}


@functools.cache
def _files() -> dict[str, ZoneInfo]:
    """Every zone that this machine knows. Cached, because the look-up walks hundreds of files."""
    return {name: ZoneInfo(name) for name in sorted(available_timezones())}
