"""Run the migrations on the application's engine, one process at a time, with a short lock timeout."""

import time
from pathlib import Path

import click
from alembic import context
from flask import current_app
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from migrations import roles as application_roles
from portal.extensions import db
from portal.reports.operations import revisions, roles
from portal.wording import installation

ADVISORY_LOCK_KEY = 7_117_115_116
"""The advisory lock that serializes hosts that migrate at the same time."""
MAX_ATTEMPTS = 20
RETRIED_SQLSTATES = ("55P03", "40P01")
"""lock_not_available, deadlock_detected."""


def run_migrations() -> None:
    with roles.owner_engine() as engine, engine.connect() as connection:
        _acquire_advisory_lock(connection)
        try:
            _refuse_unknown_revisions(connection)
            for attempt in range(1, MAX_ATTEMPTS + 1):
                connection.execute(text("SELECT set_config('lock_timeout', '500ms', false)"))
                connection.commit()
                context.configure(
                    connection=connection,
                    target_metadata=db.metadata,
                    transaction_per_migration=True,
                    **current_app.extensions["migrate"].configure_args,
                )
                try:
                    with context.begin_transaction():
                        context.run_migrations()
                    application_roles.prepare(connection, str(current_app.config["SQLALCHEMY_DATABASE_URI"]))
                    return
                except OperationalError as error:
                    connection.rollback()
                    if getattr(error.orig, "sqlstate", None) not in RETRIED_SQLSTATES or attempt == MAX_ATTEMPTS:
                        raise
                    time.sleep(0.5)
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK_KEY})
            connection.execute(text("SELECT set_config('lock_timeout', '0', false)"))
            connection.commit()


def _refuse_unknown_revisions(connection: Connection) -> None:
    state = revisions.state(connection, Path(context.script.dir))
    connection.rollback()
    if state in ("unreleased", "newer", "too_old"):
        raise click.ClickException(installation.refusal(state))


def _acquire_advisory_lock(connection: Connection) -> None:
    """Poll for the lock. A waiting transaction would block a concurrent index build of the process that holds it."""
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK_KEY}):
        connection.commit()
        time.sleep(0.2)
    connection.commit()


run_migrations()
