"""Run the migrations on the application's own engine, one process at a time, never waiting long behind a reader."""

import time

import click
from alembic import context
from flask import current_app
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from portal.extensions import db
from portal.reports.operations import revisions

ONE_AT_A_TIME = 7_117_115_116
"""The advisory lock that several hosts starting at once queue for."""
ATTEMPTS = 20
RETRIED = ("55P03", "40P01")
"""A lock that somebody else had, a deadlock."""


def run_migrations() -> None:
    with db.engine.connect() as connection:
        _queue(connection)
        try:
            _refuse_what_no_migration_knows(connection)
            for attempt in range(1, ATTEMPTS + 1):
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
                    return
                except OperationalError as error:
                    connection.rollback()
                    if getattr(error.orig, "sqlstate", None) not in RETRIED or attempt == ATTEMPTS:
                        raise
                    time.sleep(0.5)
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ONE_AT_A_TIME})
            connection.execute(text("SELECT set_config('lock_timeout', '0', false)"))
            connection.commit()


def _refuse_what_no_migration_knows(connection: Connection) -> None:
    state = revisions.state(connection, context.script.dir)
    connection.rollback()
    if state in ("unreleased", "newer"):
        raise click.ClickException(revisions.sentence(state))


def _queue(connection: Connection) -> None:
    """Asking again, not waiting in the database: an index that is built beside the writing waits for whoever does."""
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ONE_AT_A_TIME}):
        connection.commit()
        time.sleep(0.2)
    connection.commit()


run_migrations()
