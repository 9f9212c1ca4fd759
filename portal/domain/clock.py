"""The only place that asks what time it is."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

NO_PLACES: Final = frozenset({"Factory", "localtime", "posixrules"})
"""Files among the zones that are none: "not set yet", and links to what this machine is set to."""


_pretended: ContextVar[datetime | None] = ContextVar("pretended", default=None)


def now() -> datetime:
    """This instant, in UTC."""
    return _pretended.get() or datetime.now(UTC)


@contextmanager
def pretend(instant: datetime) -> Iterator[None]:
    """For whoever asks in here it is `instant` (aware). For demo data, which has a past, and nobody else."""
    before = _pretended.set(instant.astimezone(UTC))
    try:
        yield
    finally:
        _pretended.reset(before)


def today(zone: str) -> date:
    """The calendar date it is right now in `zone` (an IANA name such as "Asia/Riyadh")."""
    return local_date(now(), zone)


def local_date(instant: datetime, zone: str) -> date:
    """The calendar date of `instant` (aware) in `zone`."""
    return instant.astimezone(ZoneInfo(zone)).date()


def midnight(day: date, zone: str) -> datetime:
    """The instant at which `day` begins in `zone`, in UTC: its first that exists, where clocks jump over midnight."""
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)


def walls(instant: datetime) -> dict[str, datetime]:
    """What clocks on the wall show at `instant` (aware) in every zone there is: naive datetimes by IANA name.

    Statements take this along, so that the database's own table of zones, which may be another year's, decides nothing.
    """
    return {name: instant.astimezone(zone).replace(tzinfo=None) for name, zone in _files().items()}


@functools.cache
def zones() -> dict[str, ZoneInfo]:
    """Every time zone that somebody can be in, by its IANA name."""
    return {name: zone for name, zone in _files().items() if name not in NO_PLACES}


@functools.cache
def _files() -> dict[str, ZoneInfo]:
    """Every zone this machine knows. Looking them up walks hundreds of files, so it is done once."""
    return {name: ZoneInfo(name) for name in sorted(available_timezones())}
