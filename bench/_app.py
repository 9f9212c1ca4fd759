"""The application of a benchmark, on servers of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
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


def postgres_cpu(app: Flask) -> float:
    """CPU seconds of the benchmark's PostgreSQL until now."""
    database = Path(parse_qs(urlsplit(app.config["QIST"].database_url).query)["host"][0])
    return cpu_of([process for process in psutil.process_iter(["name"]) if _is_postgres(process, database)])


def _is_postgres(process: psutil.Process, folder: Path) -> bool:
    try:
        return "postgres" in process.info["name"] and str(folder.parent) in process.cwd()
    except (psutil.Error, OSError):
        return False


def cpu_of(processes: list[psutil.Process]) -> float:
    """Their CPU seconds, and those of children that have ended."""
    seconds = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        seconds += times.user + times.system + times.children_user + times.children_system
    return seconds
