"""The rights of the role that serves: it reads and writes rows, and alters no table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask import current_app
from sqlalchemy import Engine, create_engine, event, text

from portal.config import Settings
from portal.extensions import db, set_up_connection

RIGHTS: Final = text("""
    SELECT rolsuper
        OR EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace
                   AND relkind IN ('r', 'p', 'v', 'm', 'S') AND pg_has_role(relowner, 'USAGE'))
        OR EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                   AND has_table_privilege(oid, 'TRUNCATE, TRIGGER'))
        OR has_schema_privilege('public', 'CREATE')
    FROM pg_roles WHERE rolname = current_user
""")


def may_alter() -> bool:
    """Whether the role of DATABASE_URL can alter, empty or make tables, so that the guards don't bind it."""
    with db.engine.connect() as connection:
        return bool(connection.scalar(RIGHTS))


@contextmanager
def owner_engine() -> Iterator[Engine]:
    """The engine of the role that migrates: that of DATABASE_OWNER_URL, or of DATABASE_URL if it is not set."""
    settings: Settings = current_app.config["QIST"]
    if settings.database_owner_url is None:
        yield db.engine
        return
    options = current_app.config["SQLALCHEMY_ENGINE_OPTIONS"]
    engine = create_engine(settings.database_owner_url, **options)
    event.listen(engine, "connect", set_up_connection)
    try:
        yield engine
    finally:
        engine.dispose()
