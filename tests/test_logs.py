"""Log lines: what they say of databases, and how often they say that Valkey is away."""

import logging

import pytest
import structlog
from flask import Flask
from redis.exceptions import ConnectionError as NoConnection
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from portal import logs
from portal.extensions import db
from tests.conftest import LogLines
from tests.fixtures import people

log = structlog.get_logger(__name__)


def test_valkey_away_is_one_line_a_minute_of_all_libraries(
    log_lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    rq = logging.getLogger("rq.worker")
    for _ in range(20):
        log.warning("worker.valkey_away", error="refused")
        rq.error("Worker %s: could not connect to Redis instance: %s retrying in %d seconds...", "w", "refused", 2)
        try:
            raise NoConnection("refused")
        except NoConnection:
            rq.error("Worker %s: found an unhandled exception, quitting...", "w", exc_info=True)
        logging.getLogger("flask-limiter").warning("Rate limit storage unreachable - falling back to in-memory storage")
    assert len(log_lines()) == 1
    monkeypatch.setattr(logs, "QUIET_SECONDS", 0.0)
    logs.configure("info")
    log.warning("scheduler.valkey_away", error="refused")
    log.warning("valkey.away", error="refused")
    rq.error("Worker %s: could not connect to Redis instance", "w")
    assert len(log_lines()) == 1 + 3


def test_other_lines_of_rq_are_never_left_out(log_lines: LogLines) -> None:
    for _ in range(3):
        logging.getLogger("rq.worker").warning("Worker w: job 1 has exceeded maximum retry attempts (3)")
        log.warning("mail.server_away")
    assert len(log_lines()) == 6


def test_a_failure_of_the_database_is_named_without_values(app: Flask, context: object) -> None:
    people.omar()
    statements = {
        "UPDATE users SET email = :value": ("23514", 'new row for relation "users" violates check constraint'),
        "SELECT CAST(:value AS integer)": ("22P02", "invalid input syntax for type integer"),
        "SELECT 1 / 0 WHERE :value <> ''": ("22012", "division by zero"),
    }
    for statement, (code, reason) in statements.items():
        with pytest.raises(SQLAlchemyError) as failure:
            db.session.execute(text(statement), {"value": "nadia@secret.example"})
        db.session.rollback()
        facts = logs.database_facts(failure.value)
        assert facts["sqlstate"] == code and str(facts["reason"]).startswith(reason)
        assert "secret" not in str(facts)


def test_a_traceback_shows_neither_parameters_nor_values_of_rows(
    app: Flask, context: object, log_lines: LogLines
) -> None:
    user = people.omar()
    try:
        db.session.execute(
            text("UPDATE users SET email = :email WHERE id = :id"), {"email": "x@secret.example", "id": user}
        )
    except IntegrityError:
        log.exception("broken")
    db.session.rollback()
    (line,) = log_lines()
    assert "IntegrityError" in line["exception"] and "ck_users_email_key" in line["exception"]
    assert "secret" not in line["exception"] and "omar@example.com" not in line["exception"]
