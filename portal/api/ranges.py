"""The ranges of instants that query parameters ask for."""

from datetime import date, datetime, timedelta
from typing import Final

from portal.api import callers
from portal.domain import clock
from portal.reports.ranges import Between

_STEP: Final = timedelta(microseconds=1)
"""The precision of stored instants."""


def between(after: date | datetime | None, before: date | datetime | None) -> Between:
    """The instants between these bounds, both exclusive. A day counts as a whole, in the zone of the caller's merchant.

    Under the customer's hat a day is one of UTC.
    """
    return Between(
        since=None if after is None else after + _STEP if isinstance(after, datetime) else _begins(after, days=1),
        until=None if before is None else before if isinstance(before, datetime) else _begins(before),
    )


def _begins(day: date, *, days: int = 0) -> datetime:
    zone = "UTC" if callers.caller().actor.merchant_id is None else callers.merchant().time_zone
    return clock.midnight(day + timedelta(days=days), zone)
