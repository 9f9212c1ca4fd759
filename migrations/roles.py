"""The application role: it reads and writes rows. It owns nothing, so it alters no table and disables no guard."""

import click
import psycopg
from psycopg import sql
from sqlalchemy import Connection, make_url

ROWS = "SELECT, INSERT, UPDATE, DELETE"


def prepare(connection: Connection, application_url: str) -> None:
    """Make the role of `application_url` if it is missing, and grant it rows of all tables, present and future.

    `connection` is the owner's. Without a second role there is nothing to do. Repeatable. Raises ClickException if the
    owner may make no roles.
    """
    url = make_url(application_url)
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 the dialect is psycopg
    owner = driver.execute("SELECT current_user").fetchone()
    driver.commit()
    if url.username is None or owner == (url.username,):
        return
    _make(driver, url.username, url.password)
    role, database = sql.Identifier(url.username), sql.Identifier(driver.info.dbname)
    with driver.transaction():
        for statement in (
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC, {role}",
            "GRANT CONNECT ON DATABASE {database} TO {role}",
            "GRANT USAGE ON SCHEMA public TO {role}",
            "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
            f"GRANT {ROWS} ON ALL TABLES IN SCHEMA public TO {{role}}",
            "REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {role}",
            "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {ROWS} ON TABLES TO {{role}}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role}",
        ):
            driver.execute(sql.SQL(statement).format(role=role, database=database))


def _make(driver: psycopg.Connection, name: str, password: str | None) -> None:
    """Make the role, or give an existing one the password of the URL. The server receives a digest of the password."""
    exists = driver.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    driver.commit()
    verb = sql.SQL("ALTER ROLE" if exists else "CREATE ROLE")
    options = sql.SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
    if exists and (password is None or not _may_make_roles(driver)):
        return
    if password is not None:
        digest = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        options = sql.SQL("{} PASSWORD {}").format(sql.SQL("LOGIN") if exists else options, digest)
    try:
        with driver.transaction():
            driver.execute(sql.SQL("{} {} {}").format(verb, sql.Identifier(name), options))
    except psycopg.errors.InsufficientPrivilege:
        raise click.ClickException(
            f"The role {name} does not exist, and that of DATABASE_OWNER_URL may make no roles. As an administrator of "
            f"PostgreSQL: CREATE ROLE {name} LOGIN PASSWORD '...', then run qist db upgrade again."
        ) from None


def _may_make_roles(driver: psycopg.Connection) -> bool:
    row = driver.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    driver.commit()
    return row == (True,)
