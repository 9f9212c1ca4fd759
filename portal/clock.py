"""The only place that asks what time it is."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo


def now() -> datetime:
    """This instant, in UTC."""
    return datetime.now(UTC)


def today(zone: str) -> date:
    """The calendar date it is right now in `zone` (an IANA name such as "Asia/Riyadh")."""
    return local_date(now(), zone)


def local_date(instant: datetime, zone: str) -> date:
    """The calendar date of `instant` (aware) in `zone`."""
    return instant.astimezone(ZoneInfo(zone)).date()
