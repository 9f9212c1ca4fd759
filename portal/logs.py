"""Structured logs: JSON lines on stderr, each with the request id."""

import logging
import re
import sys
import threading
import time
from typing import Any, Final

import structlog

QUIET_SECONDS: Final = 60.0
"""Seconds between two lines of one process that say that Valkey is away."""
VALKEY_AWAY: Final = ("valkey.away", "worker.valkey_away", "scheduler.valkey_away", "sweep.valkey_away")
_NO_VALKEY = re.compile("Redis|[Rr]ate limit")
"""In the lines of RQ and flask-limiter while Valkey is away."""
_VALUES: Final = re.compile(r"\n(?:DETAIL|CONTEXT|LINE \d+):.*(?:\n +\^)?")
"""The lines of PostgreSQL's errors that hold values of rows."""
_KINDS: Final = {
    "25006": "read_only",
    "28000": "wrong_password",
    "28P01": "wrong_password",
    "3D000": "no_database",
    "40001": "serialization",
    "40P01": "deadlock",
    "42501": "no_permission",
    "53100": "disk_full",
    "53300": "too_many_connections",
    "55P03": "lock_timeout",
    "57014": "statement_timeout",
    "57P01": "stopping",
    "57P02": "stopping",
    "57P03": "starting",
}
"""The meaning of PostgreSQL's error codes to an operator."""
_CONNECTING: Final = (
    ("wrong_password", "password authentication failed|no password supplied|pg_hba.conf|SCRAM|role .* does not exist"),
    ("no_database", "database .* does not exist"),
    ("too_many_connections", "too many clients|remaining connection slots|too many connections"),
    ("starting", "is starting up|not yet accepting connections|in recovery mode"),
    ("stopping", "is shutting down"),
    ("disk_full", "No space left on device"),
)
"""The meaning of the messages of failed connections. libpq gives no code for them."""
DATABASE_KINDS: Final = (*sorted({*_KINDS.values()}), "away", "data", "other")
"""Every answer of `database_kind`."""


class _Quiet:
    """One line a minute while Valkey is away, from whatever library."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0

    def lets_pass(self) -> bool:
        with self._lock:
            if time.monotonic() < self._until:
                return False
            self._until = time.monotonic() + QUIET_SECONDS
            return True

    def events(self, _logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Processor of structlog."""
        if event.get("event") in VALKEY_AWAY and not self.lets_pass():
            raise structlog.DropEvent
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """Filter of the standard logging."""
        if not record.name.startswith(("rq", "flask-limiter", "flask_limiter")) or record.levelno < logging.WARNING:
            return True
        error = record.exc_info[1] if record.exc_info else None
        from_valkey = type(error).__module__.startswith("redis") or isinstance(error, OSError)
        is_about_valkey = from_valkey or _NO_VALKEY.search(record.getMessage())
        return not is_about_valkey or self.lets_pass()


def configure(level: str) -> None:
    """Write structlog events and the records of standard logging as one JSON object a line; `level` is a setting."""
    quiet = _Quiet()
    structlog.configure(
        processors=[quiet.events, *_first(), *_last()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(quiet.filter)
    handler.setFormatter(formatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.getLevelName(level.upper()), logging.INFO))
    logging.getLogger("alembic").setLevel(logging.WARNING)


def formatter() -> logging.Formatter:
    """The records of standard logging as one JSON object a line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_first(), structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last()],
    )


def request_id() -> str | None:
    """The id of the request that this thread or job works for, as log lines have it."""
    return structlog.contextvars.get_contextvars().get("request_id")


def database_kind(error: BaseException) -> str:
    """The meaning of a database's failure to an operator: one of DATABASE_KINDS.

    `away`: no connection, or a lost one. `data`: a statement against a rule of the tables.
    """
    original = getattr(error, "orig", None) or error
    code: str | None = getattr(original, "sqlstate", None)
    if code is not None:
        by_class = {"08": "away", "22": "data", "23": "data"}
        return _KINDS.get(code) or by_class.get(code[:2], "other")
    if type(original).__name__ not in ("OperationalError", "InterfaceError", "ConnectionTimeout", "TimeoutError"):
        return "other"
    return next((kind for kind, pattern in _CONNECTING if re.search(pattern, str(original))), "away")


def database_facts(error: BaseException) -> dict[str, str | None]:
    """The facts of a database's failure for a log line: its kind, PostgreSQL's error code and message, and no value.

    A message of class 22 (data exception) quotes the value after a colon, so it ends there.
    """
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlstate", None)
    message = getattr(getattr(original, "diag", None), "message_primary", None) or _VALUES.sub("", str(original))
    if code is not None and code.startswith("22"):
        message = message.partition(":")[0]
    facts = {"error": type(original).__name__, "kind": database_kind(error), "sqlstate": code}
    return {**facts, "reason": message.strip()[:500]}


def _first() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _last() -> list[structlog.typing.Processor]:
    return [structlog.processors.format_exc_info, _without_values, structlog.processors.JSONRenderer()]


def _without_values(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if isinstance(trace := event.get("exception"), str):
        event["exception"] = _VALUES.sub("", trace)
    return event
