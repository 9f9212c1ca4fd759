"""One verb, one commit: the decorator every verb that writes stands under."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal.errors import Busy, Unsure
from portal.extensions import db

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 3
RETRIED: Final = {"40001": "serialization failure", "40P01": "deadlock", "55P03": "lock timeout"}
LOCK_SECONDS: Final = 3
STATEMENT_SECONDS: Final = 5
LONGEST: Final = ATTEMPTS * STATEMENT_SECONDS
"""Seconds that a verb takes which at each of its attempts waits as long as one statement may."""
_LIMITS = text(
    f"SELECT set_config('lock_timeout', '{LOCK_SECONDS}s', true),"
    f" set_config('statement_timeout', '{STATEMENT_SECONDS}s', true)"
)

_AFTERWARDS: Final = "after_commit"


def unit_of_work(verb: Callable[P, R]) -> Callable[P, R]:
    """Run `verb` in a fresh transaction with lock_timeout 3 s and statement_timeout 5 s, and commit.

    Any exception rolls everything back. Lock timeouts, deadlocks and serialization failures are tried again, three
    times in all, then Busy; so a verb takes ids and plain values and reads every row itself. A connection lost before
    the commit is Busy (nothing happened); lost during the commit is Unsure (it may have).
    """

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(1, ATTEMPTS + 1):
            committing = False
            try:
                db.session.rollback()
                db.session.info.pop(_AFTERWARDS, None)
                db.session.execute(_LIMITS)
                result = verb(*args, **kwargs)
                db.session.flush()
                committing = True
                db.session.commit()
                for call in db.session.info.pop(_AFTERWARDS, {}):
                    call()
                return result
            except DBAPIError as error:
                db.session.rollback()
                reason = RETRIED.get(getattr(error.orig, "sqlstate", None) or "")
                if reason is None:
                    if error.connection_invalidated:
                        raise (Unsure() if committing else Busy()) from error
                    raise
                log.warning("unit_of_work.retry", verb=verb.__name__, reason=reason, attempt=attempt)
                if attempt == ATTEMPTS:
                    raise Busy() from error
                time.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311 spreads retries, hides nothing
            except BaseException:
                db.session.rollback()
                raise
        raise AssertionError("unreachable")

    return run


def after_commit(call: Callable[[], None]) -> None:
    """Inside a verb's transaction: call this once when it has committed, and never if it hasn't. It may not raise."""
    db.session.info.setdefault(_AFTERWARDS, {})[call] = None


@contextmanager
def unsure_from_here() -> Iterator[None]:
    """Around what comes after a change: recording what the gateway did, reading what to answer. "Busy, nothing was
    changed" would not be true any more, so it is Unsure."""
    try:
        yield
    except (Busy, OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unsure() from error


def violated(error: DBAPIError) -> str | None:
    """The name of the constraint or unique index that an IntegrityError broke."""
    diagnostics = getattr(error.orig, "diag", None)
    return getattr(diagnostics, "constraint_name", None)
