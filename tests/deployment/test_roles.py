"""Two roles: the owner migrates, the application role reads and writes rows, and the guards bind it."""

from collections.abc import Iterator

import flask_migrate
import psycopg
import pytest
from flask import Flask

from portal import cli
from portal.app import bind_migrations, create_app
from portal.domain import clock
from portal.extensions import db
from portal.local.postgres import APPLICATION_ROLE, Postgres
from portal.models import User
from portal.reports.operations import checks, roles
from portal.services.maintenance import retention, watchdog
from portal.services.privacy import erasures
from tests import first_in_time
from tests.fixtures import people, servers
from tests.models import sample_plans

DATABASE = f"{servers.database_name()}_roles"


def settings_of_roles(application_role: str = APPLICATION_ROLE):
    owner = servers.settings_for(DATABASE).database_url
    assert owner is not None
    application = Postgres.application_url(owner).replace(APPLICATION_ROLE, application_role)
    return servers.settings_for(DATABASE, DATABASE_URL=application, DATABASE_OWNER_URL=owner)


@pytest.fixture(scope="module")
def served() -> Iterator[Flask]:
    """An application that serves as the application role, on a database that the owner migrated and that has rows."""
    with servers.administrator() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0")
    app = create_app(settings_of_roles())
    app.config.update(TESTING=True, ARGON2_CHEAP=True, WTF_CSRF_ENABLED=False)
    bind_migrations(app)
    with app.app_context():
        flask_migrate.upgrade()
        sample_plans.sample_plans.__wrapped__()  # made anew, by the application role
        db.session.remove()
    yield app
    with app.app_context():
        db.engine.dispose()
    with servers.administrator() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


def connect(app: Flask, *, owner: bool = False) -> psycopg.Connection:
    settings = app.config["QIST"]
    url = settings.database_owner_url if owner else settings.database_url
    return psycopg.connect(url.replace("+psycopg", ""))


DEFINITIONS = (
    "CREATE TABLE other (id int)",
    "DROP TABLE ledger_lines",
    "TRUNCATE ledger_lines",
    "TRUNCATE security_events",
    "ALTER TABLE ledger_lines DISABLE TRIGGER ALL",
    "ALTER TABLE plans DISABLE TRIGGER USER",
    "ALTER TABLE payments ADD COLUMN other int",
    "ALTER TABLE installments DROP CONSTRAINT ck_installments_remaining",
    "ALTER TABLE ledger_lines OWNER TO CURRENT_USER",
    "CREATE INDEX ON payments (amount)",
    "CREATE TRIGGER other BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION qist_append_only()",
    "DROP FUNCTION qist_append_only CASCADE",
    "CREATE OR REPLACE FUNCTION qist_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "SET session_replication_role = replica",
    "SET ROLE qist",
    "UPDATE alembic_version SET version_num = 'other'",
)


@pytest.mark.parametrize("statement", first_in_time(DEFINITIONS))
def test_the_application_role_defines_nothing(served: Flask, statement: str) -> None:
    with connect(served) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    ["UPDATE ledger_lines SET amount = amount + 1", "DELETE FROM ledger_lines", "UPDATE ledger_entries SET kind = 'x'"],
)
def test_the_guards_bind_the_application_role(served: Flask, statement: str) -> None:
    with connect(served) as connection, pytest.raises(psycopg.errors.DatabaseError, match="append-only"):
        connection.execute(statement.encode())


def test_the_owner_could_do_all_that(served: Flask) -> None:
    """Otherwise the tests above would show nothing."""
    with connect(served, owner=True) as connection:
        connection.execute("ALTER TABLE ledger_lines DISABLE TRIGGER ALL")
        assert connection.execute("UPDATE ledger_lines SET amount = amount + 1").rowcount > 0
        connection.execute("TRUNCATE ledger_lines")
        connection.rollback()


def test_tables_of_later_migrations_are_granted_too(served: Flask) -> None:
    with connect(served, owner=True) as connection:
        connection.execute("CREATE TABLE later (id int GENERATED ALWAYS AS IDENTITY, n int)")
    try:
        with connect(served) as connection:
            connection.execute("INSERT INTO later (n) VALUES (1)")
            connection.execute("UPDATE later SET n = 2; DELETE FROM later")
        with connect(served) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("TRUNCATE later")
    finally:
        with connect(served, owner=True) as connection:
            connection.execute("DROP TABLE later")


def test_services_and_jobs_need_no_other_rights(served: Flask) -> None:
    """Plans, payments and refunds were made by the fixture; here: the jobs that delete, an erasure and the checks."""
    with served.app_context():
        amal = people.a_merchant("merchant", business_name="Another shop")
        plan = people.a_plan(amal, "omar@example.com")
        customer = people.plan_of(plan).customer_id
        assert people.pay(people.installments_of(plan)[0].id, customer).state == "succeeded"
        retention.purge_expired()
        watchdog.sweep()
        nadia = db.session.scalars(db.select(User).where(User.has_email("nadia@example.com"))).one()
        user_id, created_at = nadia.id, nadia.created_at
        db.session.rollback()
        assert erasures.erase_again(user_id, created_at, clock.now()) == "erased"
        assert [(rule, count) for rule, count in checks.run() if count] == []
        db.session.remove()


def test_an_upgrade_is_repeatable_and_the_doctor_knows_the_rights(served: Flask) -> None:
    with served.app_context():
        flask_migrate.upgrade()
        assert not roles.may_alter()
    owner = create_app(servers.settings_for(DATABASE))
    with owner.app_context():
        assert roles.may_alter()
        db.engine.dispose()


def test_a_backup_is_made_by_the_owner(served: Flask, tmp_path) -> None:
    result = served.test_cli_runner().invoke(cli.main, ["backup", str(tmp_path / "qist.dump")])
    assert result.exit_code == 0, result.output


def test_a_missing_role_is_made_with_the_password_of_its_address(served: Flask) -> None:
    role = f"{DATABASE}_new"
    app = create_app(settings_of_roles(f"{role}:a-w%2Ford"))
    bind_migrations(app)
    with servers.administrator() as connection:
        try:
            with app.app_context():
                flask_migrate.upgrade()
                assert not roles.may_alter()
                db.engine.dispose()
            query = "SELECT rolpassword, rolcanlogin, rolsuper, rolcreaterole FROM pg_authid WHERE rolname = %s"
            password, *rights = connection.execute(query, (role,)).fetchone()
            assert password.startswith("SCRAM-SHA-256$") and rights == [True, False, False]
        finally:
            with servers.administrator(DATABASE) as there:
                there.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE IF EXISTS {role}")


def test_an_owner_that_may_make_no_roles_is_told_what_to_run(served: Flask) -> None:
    settings = settings_of_roles("no_such_role")
    application = settings.database_url
    assert application is not None
    owner = application.replace("no_such_role", APPLICATION_ROLE)
    app = create_app(servers.settings_for(DATABASE, DATABASE_URL=application, DATABASE_OWNER_URL=owner))
    bind_migrations(app)
    result = app.test_cli_runner().invoke(cli.main, ["db", "upgrade"])
    assert result.exit_code == 1
    assert "The role no_such_role does not exist" in result.output and "CREATE ROLE no_such_role LOGIN" in result.output
