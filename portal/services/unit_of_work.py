"""The unit of work: one decorator that gives a service function its transaction and its idempotency."""

import inspect
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Final, ParamSpec, TypeVar, cast

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal import counters, logs
from portal.domain import clock
from portal.errors import Busy, Unsure
from portal.extensions import db, session
from portal.services import idempotency
from portal.services.idempotency import RequestKey

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 3
RETRYABLE: Final = {"40001": "serialization failure", "40P01": "deadlock", "55P03": "lock timeout"}
"""PostgreSQL's error codes after which the transaction may run again, with the reason for the log."""
LOCK_SECONDS: Final = 3
STATEMENT_SECONDS: Final = 5
MAX_SECONDS: Final = MAX_ATTEMPTS * STATEMENT_SECONDS
"""Seconds of a unit of work in which each attempt waits as long as one statement may."""
_LIMITS: Final = f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'"

_AFTER_COMMIT: Final = "after_commit"
_RUNNING: Final = "unit_of_work"
"""The session's key of the name of the unit of work that is running."""


class NestedUnitOfWork(RuntimeError):
    """A unit of work, or a read that ends its transaction, was called inside a unit of work. Nothing was changed."""


def unit_of_work(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` in a fresh transaction with lock_timeout 3 s and statement_timeout 5 s, and commit.

    Any exception rolls the transaction back. After a lock timeout, a deadlock or a serialization failure the function
    runs again, at most MAX_ATTEMPTS times, then raises Busy; so it takes ids and plain values and reads each row
    itself. A connection lost before the commit raises Busy (nothing happened). A connection lost during the commit
    raises Unsure (the commit may have happened). A unit of work inside another raises NestedUnitOfWork.

    A function with the keyword `request_key` is carried out once for each key: its Result is stored in the commit, and
    a repeated request gets the stored one. While the same request runs elsewhere, the call waits for it up to
    idempotency.WAIT_SECONDS. Refuses, besides the function's own: idempotency_key_reused; still_running; answer_gone.
    """
    parameter = inspect.signature(function).parameters.get("request_key")
    if parameter is not None and parameter.kind is not parameter.KEYWORD_ONLY:
        raise TypeError(f"{function.__name__}: request_key is a keyword-only parameter")

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        _refuse_nesting(function.__name__)
        request_key = kwargs.get("request_key")
        if not isinstance(request_key, RequestKey):
            return _carry_out(function.__name__, lambda: function(*args, **kwargs))

        def once() -> R:
            stored = idempotency.claim(request_key)
            if stored is not None:
                return cast(R, stored)
            result = function(*args, **kwargs)
            idempotency.finish(request_key, result)
            return result

        return idempotency.waiting(lambda: _carry_out(function.__name__, once))

    return run


def _carry_out(name: str, function: Callable[[], R]) -> R:
    """Run `function` in a transaction and commit, with the retries of `unit_of_work`."""
    info = db.session.info
    for attempt in range(1, MAX_ATTEMPTS + 1):
        committing = False
        try:
            session().start_again()
            info.pop(_AFTER_COMMIT, None)
            info[_RUNNING] = name
            session().start_transaction(f"{_LIMITS}; SET LOCAL qist.now = '{clock.now().isoformat()}'")
            result = function()
            db.session.flush()
            committing = True
            db.session.commit()
        except DBAPIError as error:
            db.session.rollback()
            reason = RETRYABLE.get(getattr(error.orig, "sqlstate", None) or "")
            if reason is None:
                if error.connection_invalidated:
                    log.error("database.away", function=name, **logs.database_facts(error))
                    raise (Unsure() if committing else Busy()) from error
                raise
            counters.retry(reason)
            log.warning("unit_of_work.retry", function=name, reason=reason, attempt=attempt)
            if attempt == MAX_ATTEMPTS:
                raise Busy() from error
        except BaseException:
            db.session.rollback()
            raise
        else:
            del info[_RUNNING]
            for call in info.pop(_AFTER_COMMIT, {}):
                call()
            return result
        finally:
            info.pop(_RUNNING, None)
        time.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311 spreads retries, hides nothing
    raise AssertionError("unreachable")


def end_reading() -> None:
    """End a read, so that no transaction stays open during a call of the gateway or another slow step.

    Inside a unit of work it would undo that one's writes, so there it raises NestedUnitOfWork.
    """
    _refuse_nesting("end_reading")
    db.session.rollback()


def _refuse_nesting(name: str) -> None:
    if (outer := db.session.info.get(_RUNNING)) is not None:
        raise NestedUnitOfWork(f"{name} was called inside the unit of work {outer}")


def after_commit(call: Callable[[], None]) -> None:
    """Inside a unit of work: run `call` once after the commit, and not at all after a rollback. It must not raise."""
    db.session.info.setdefault(_AFTER_COMMIT, {})[call] = None


@contextmanager
def unsure_from_here() -> Iterator[None]:
    """Turn Busy and database errors into Unsure, for steps after a change that has happened outside or is committed.

    Such steps record the gateway's outcome or read the response; "busy, nothing was changed" would be wrong there.
    """
    try:
        yield
    except (Busy, OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unsure() from error


def violated(error: DBAPIError) -> str | None:
    """The name of the constraint or unique index that an IntegrityError violated."""
    diagnostics = getattr(error.orig, "diag", None)
    return getattr(diagnostics, "constraint_name", None)
