"""Each guard of the database refuses raw SQL at a real COMMIT, and without that guard the SQL is accepted."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import IntegrityError

from portal.extensions import db
from portal.models import guards
from portal.services.payments import refunds
from tests.fixtures import people, servers
from tests.models.guard_inserts import Guard
from tests.models.guards import GUARDS
from tests.models.import_guards import a_contact
from tests.models.sample_plans import sample_plans

CATALOG = """
    SELECT conname AS name, conrelid::regclass::text AS "table", 'constraint' AS kind,
           contype = 'u' AND EXISTS (
               SELECT FROM pg_constraint AS pk WHERE pk.conrelid = c.conrelid AND pk.contype = 'p'
               AND pk.conkey <@ c.conkey) OR contype = 'p' AND cardinality(conkey) = 1 AND EXISTS (
               SELECT FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1] AND attidentity = 'a')
           OR contype = 'f' AND cardinality(conkey) = 1 AS plain
    FROM pg_constraint AS c WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'u', 'p', 'f')
    UNION ALL
    SELECT tgname, tgrelid::regclass::text, 'trigger', false FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text, 'index', false FROM pg_index AS i
    JOIN pg_class ON pg_class.oid = i.indrelid AND relnamespace = 'public'::regnamespace
    WHERE indisunique AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u'))
"""
"""The constraints, triggers and unique indexes of the database. `plain`: a single-column key or identity."""

ELSEWHERE = {
    "plans_next_due_insert": "test_a_plans_next_due_date_follows_its_installments",
    "plans_next_due_update": "test_a_plans_next_due_date_follows_its_installments",
    "proposals_void": "tests/services/adjustments/test_proposals.py",
    "installments_held_begin": "tests/services/payments/test_held.py",
    "installments_held_end": "tests/services/payments/test_held.py",
    "due_totals": "tests/services/books/test_totals.py",
    "collected_totals": "tests/services/books/test_totals.py",
    "plans_grams": "test_grams_follow_what_a_search_finds",
    "customers_grams": "test_grams_follow_what_a_search_finds",
    "contacts_grams": "test_contacts_are_found_by_their_words",
    "users_grams": "test_grams_follow_what_a_search_finds",
    "customers_listed": "test_the_name_in_lists_and_the_newest_plan_follow_their_rows",
    "users_listed": "test_the_name_in_lists_and_the_newest_plan_follow_their_rows",
    "plans_listed_update": "test_the_name_in_lists_and_the_newest_plan_follow_their_rows",
    "customer_balances": "test_a_customers_balance_follows_their_installments",
    "customer_balances_update": "test_a_customers_balance_follows_their_installments",
    "plans_listed": "test_the_name_in_lists_and_the_newest_plan_follow_their_rows",
    "events_published_insert": "tests/api/resources/test_events.py",
    "pk_merchants": "a plain key",
    "pk_alembic_version": "a table of Alembic",
    "alembic_version_pkc": "a table of Alembic",
}


@dataclass(frozen=True)
class GuardedDatabase:
    """A database of its own with sample data from the services. The tests roll their changes back."""

    engine: Engine
    ids: dict[str, Any]

    def run(self, connection: Connection, guard: Guard) -> None:
        for statement in guard.breaks.split(";"):
            connection.execute(text(statement), self.ids)


@pytest.fixture(scope="module")
def guarded(app: Flask) -> Iterator[GuardedDatabase]:
    name = servers.database_name()
    copy = f"{name}_guards"
    with app.app_context():
        servers.fresh_database(name, db.engine)
        ids = sample_plans()
        db.session.remove()
        db.engine.dispose()
    servers.copy_database(name, copy)
    engine = create_engine(servers.settings_for(copy).database_url or "")
    yield GuardedDatabase(engine, ids)
    engine.dispose()
    with servers.administrator() as connection:
        connection.execute(f"DROP DATABASE {copy} WITH (FORCE)")


@contextmanager
def raw() -> Iterator[Connection]:
    """A separate connection with a real COMMIT at the end, which checks deferred rules."""
    db.session.rollback()
    with db.engine.begin() as connection:
        yield connection


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.guard}: {guard.about}".replace(" ", "_"))
def test_the_database_refuses(guarded, guard):
    with pytest.raises(IntegrityError) as refused, guarded.engine.begin() as connection:
        guarded.run(connection, guard)
    assert refused.value.orig.diag.constraint_name == guard.rule


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.guard}: {guard.about}".replace(" ", "_"))
def test_without_its_guard_the_database_would_accept(guarded, guard):
    with guarded.engine.connect() as connection:
        catalog = {row.name: row for row in connection.execute(text(CATALOG))}
        for name in (guard.guard, *guard.beside):
            connection.execute(text(_drop(catalog[name])))
        guarded.run(connection, guard)
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        connection.rollback()


def _drop(row) -> str:
    if row.kind == "trigger":
        return f"DROP TRIGGER {row.name} ON {row.table}"
    if row.kind == "index":
        return f"DROP INDEX {row.name}"
    return f"ALTER TABLE {row.table} DROP CONSTRAINT {row.name} CASCADE"


def test_no_guard_of_the_database_is_without_a_statement_that_it_refuses(context):
    with raw() as connection:
        rows = connection.execute(text(CATALOG)).all()
    guards = {row.name for row in rows if not row.plain}
    shown = {guard.guard for guard in GUARDS} | set(ELSEWHERE)
    assert guards - shown == set()
    assert {guard.guard for guard in GUARDS} - {row.name for row in rows} == set()


def test_the_guards_of_the_database_are_the_texts_of_the_files(context):
    """Each function has the body from its file, and each trigger of a file calls the function of that file."""
    triggers = "SELECT tgname, proname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal"
    with raw() as connection:
        functions = connection.execute(text("SELECT proname, prosrc FROM pg_proc WHERE proname LIKE 'qist%'")).all()
        calls = {(row.tgname, row.proname) for row in connection.execute(text(triggers))}
    assert {row.proname for row in functions} == {f"qist_{name}" for name in guards.names()}
    for name, body in functions:
        assert f"$${body}$$" in guards.text(name.removeprefix("qist_"))
    pattern = re.compile(r"^CREATE (?:CONSTRAINT )?TRIGGER (\w+) ", re.MULTILINE)
    assert calls == {
        (trigger, f"qist_{name}") for name in guards.names() for trigger in pattern.findall(guards.text(name))
    }


def test_every_guard_documents_its_rules():
    """The header comment of each file lists exactly the rules that the function refuses with."""
    for name in guards.names():
        header, body = guards.text(name).split("CREATE", 1)
        assert all(line.startswith("-- ") for line in header.splitlines())
        rules = set(re.findall(r"qist_refuse\('(\w+)'", body))
        documented = set(re.findall(r"\w+", header.partition("Refuses with")[2]))
        assert rules == documented & rules


def test_every_column_of_money_and_dates_has_the_type_that_holds_it(context):
    with raw() as connection:
        columns = connection.execute(
            text(
                "SELECT table_name AS table, column_name AS column, data_type AS kind "
                "FROM information_schema.columns WHERE table_schema = 'public'"
            )
        ).all()
    types = {(row.table, row.column): row.kind for row in columns}
    money = {"amount", "total", "paid", "credited", "written_off", "remaining"}
    assert {kind for (_, column), kind in types.items() if column in money} == {"bigint"}
    assert {kind for (_, column), kind in types.items() if column.endswith("_at")} == {"timestamp with time zone"}
    assert {kind for (_, column), kind in types.items() if column.endswith(("_on", "_date"))} == {"date"}
    assert not {"real", "double precision", "money", "numeric", "timestamp without time zone"} & set(types.values())


def test_a_plans_next_due_date_follows_its_installments(context):
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, count=3, first=-40)
    first, second, third = people.installments_of(plan_id)
    assert _next(plan_id) == (first.due_date, first.late_at)
    people.pay(second.id, omar)
    assert _next(plan_id) == (first.due_date, first.late_at)
    people.pay(first.id, omar)
    assert _next(plan_id) == (third.due_date, third.late_at)
    people.pay(third.id, omar)
    assert _next(plan_id) == (None, None)


def test_the_instant_of_the_last_change_moves_with_every_change(context):
    """Of payments and refunds, by raw SQL that leaves it out or turns it back. An update without a change leaves it."""
    omar = people.omar()
    plan_id = people.a_plan(people.amal())
    payment = people.pay(people.installments_of(plan_id)[0].id, omar)
    refunds.refund(plan_id, actor=people.owner(payment.merchant_id), amount=1, reason="Broken")
    changes = ('metadata = \'{"a": "b"}\'', "metadata = '{}', updated_at = '2020-01-01Z'", "metadata = metadata")
    for table in ("payments", "refunds"):
        query = text(f"SELECT updated_at FROM {table}")  # noqa: S608 names of this test
        with raw() as connection:
            instants = [connection.execute(query).scalar_one()]
        for change in changes:
            with raw() as connection:
                connection.execute(text(f"UPDATE {table} SET {change}"))  # noqa: S608 names of this test
                instants.append(connection.execute(query).scalar_one())
        assert instants[0] < instants[1] < instants[2] == instants[3], (table, instants)


def test_a_customers_balance_follows_their_installments(context):
    """By raw SQL: new and paid installments, a plan that does not count, and one that gets another customer."""
    amal, omar, sara = people.amal(), people.omar(), people.sara()
    first = people.a_plan(amal, total=90_00, count=3)
    second = people.a_plan(amal, total=10_00, count=1)
    query = text("SELECT customer_id, owed FROM customer_balances WHERE merchant_id = :amal")
    waits = "UPDATE plans SET counted = false, lapses_at = now() WHERE id = :second"
    counts = "UPDATE plans SET counted = true, lapses_at = NULL WHERE id = :second"
    for change, expected in (
        ("SELECT 1", {omar: 100_00}),
        ("UPDATE installments SET credited = 5 WHERE plan_id = :first AND number > 1", {omar: 99_90}),
        (waits, {omar: 89_90}),
        (counts, {omar: 99_90}),
        ("UPDATE invitations SET revoked_at = now(), revoked_for = 'corrected' WHERE plan_id = :second", {omar: 99_90}),
        ("UPDATE plans SET customer_id = :sara WHERE id = :second", {omar: 89_90, sara: 10_00}),
        (waits, {omar: 89_90, sara: 0}),
    ):
        with raw() as connection:
            connection.execute(text(change), {"first": first, "second": second, "sara": sara})
        with raw() as connection:
            assert dict(connection.execute(query, {"amal": amal}).all()) == expected, change


def test_grams_follow_what_a_search_finds(context):
    """The triggers of grams by raw SQL: the row is found by each text right after the change."""
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, description="Oak desk")
    in_plan, in_pair = (
        text("SELECT grams @> qist_grams(merchant_id, :words) FROM plan_grams WHERE plan_id = :id"),
        text("SELECT grams @> qist_grams(merchant_id, :words) FROM customers WHERE user_id = :id"),
    )
    steps = (
        (in_plan, plan_id, "Oak desk", "SELECT :id"),
        (in_plan, plan_id, "INV77", "UPDATE plans SET external_id = 'INV77' WHERE id = :id"),
        (in_pair, omar, "Haddad", "UPDATE customers SET name = 'Haddad' WHERE user_id = :id"),
        (in_pair, omar, "0501234", "UPDATE customers SET phone = '050 1234' WHERE user_id = :id"),
        (in_pair, omar, "zainab", "UPDATE users SET username = 'zainab', username_key = 'zainab' WHERE id = :id"),
    )
    for query, row_id, words, change in steps:
        with raw() as connection:
            connection.execute(text(change), {"id": row_id})
        with raw() as connection:
            assert connection.execute(query, {"id": row_id, "words": [words]}).scalar() is True, words


def test_contacts_are_found_by_their_words(context):
    """The trigger of their grams by raw SQL."""
    amal = people.amal()
    with raw() as connection:
        for statement in a_contact().split(";"):
            connection.execute(text(statement), {"amal": amal})
    found = text("SELECT grams @> qist_grams(merchant_id, :words) FROM contacts")
    for words, change in (("x@example", ""), ("Haddad", "name = 'Haddad'"), ("0501234", "phone = '050 1234'")):
        with raw() as connection:
            if change:
                connection.execute(text(f"UPDATE contacts SET {change}"))  # noqa: S608 constants
            assert connection.execute(found, {"words": [words]}).scalar() is True, words


ERASE = """UPDATE users SET erased_at = now(), deactivated_at = now(), username = NULL, username_key = NULL,
    password_hash = NULL, email_proven_at = NULL, full_name = '', phone = '', registered_as = 'customer',
    email = 'erased-1@erased.invalid', email_key = 'erased-1@erased.invalid' WHERE id = :omar"""


def test_the_name_in_lists_and_the_newest_plan_follow_their_rows(context):
    """The triggers of lists of customers by raw SQL."""
    amal, omar, sara = people.amal(), people.omar(), people.sara()
    first = people.a_plan(amal, count=1)
    query = text("SELECT sort_name, last_plan_id FROM customers WHERE merchant_id = :amal AND user_id = :omar")
    second = None
    for change, expected in (
        (None, ("omar", first)),
        ("UPDATE customers SET name = 'Ömer' WHERE user_id = :omar", ("ömer", first)),
        ("UPDATE customers SET name = NULL WHERE user_id = :omar", ("omar", first)),
        ("UPDATE users SET username = 'Zaid', username_key = 'zaid' WHERE id = :omar", ("zaid", first)),
        ("a plan", ("zaid", "second")),
        ("UPDATE plans SET customer_id = :sara WHERE id = :second", ("zaid", first)),
        (ERASE, (None, first)),
    ):
        if change == "a plan":
            second = people.a_plan(amal, count=1)
        elif change is not None:
            with raw() as connection:
                connection.execute(text(change), {"omar": omar, "sara": sara, "second": second})
        with raw() as connection:
            row = connection.execute(query, {"amal": amal, "omar": omar}).one()
        assert tuple(row) == (expected[0], second if expected[1] == "second" else expected[1]), change


def test_all_of_one_plan_may_be_credited_when_the_plan_is_closed_in_the_same_commit(context):
    plan_id = people.a_plan(people.amal(), count=2)
    with raw() as connection:
        connection.execute(text("UPDATE installments SET credited = remaining"))
        connection.execute(text("UPDATE plans SET state = 'cancelled', closed_at = now(), closed_by = 'cancel'"))
    assert people.plan_of(plan_id).state == "cancelled"
    assert {row.status for row in people.installments_of(plan_id)} == {"waived"}


def test_a_merchant_without_plans_may_change_the_home_currency(context):
    badr = people.badr()
    with raw() as connection:
        connection.execute(text("UPDATE merchants SET home_currency = 'USD' WHERE id = :badr"), {"badr": badr})


def _next(plan_id):
    plan = people.plan_of(plan_id)
    return plan.next_due_on, plan.next_late_at
