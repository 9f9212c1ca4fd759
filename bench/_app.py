"""The application of a benchmark, on servers of its own."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from portal.app import create_app
from portal.extensions import db
from portal.local.postgres import Postgres
from tests.fixtures import servers


@contextmanager
def application(*, durable: bool = False, **settings: str) -> Iterator[Flask]:
    """The application with these settings, on an empty, migrated database. Passwords hash quickly.

    With `durable`, PostgreSQL waits for the disk at each commit, as in production.
    """
    own_servers = servers.Servers()
    own_servers.postgres = Postgres(own_servers.data_dir, durable=durable)
    own_servers.start()
    try:
        app = create_app(servers.settings_for(servers.database_name(), **settings))
        app.config["ARGON2_CHEAP"] = True
        servers.make_template(app)
        servers.fresh_database(servers.database_name())
        yield app
        with app.app_context():
            db.engine.dispose()
    finally:
        own_servers.stop()
