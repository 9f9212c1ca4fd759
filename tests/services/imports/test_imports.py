"""Imports: the dry run, all or nothing, once, within a bound of statements; who may, and what is kept of a file."""

import threading
from datetime import date

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from portal.domain import permissions
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Contact, Customer, Email, Event, Import, Plan, PlanDraft, User
from portal.models.plans.imports import MAX_ROWS
from portal.services.imports import imports
from portal.services.imports.matching import Matching
from portal.services.plans import drafts, pairs, plans
from portal.services.plans.pairs import Words
from portal.services.plans.plans import NewPlan
from tests.fixtures import operations, people
from tests.fixtures.query_log import round_trips
from tests.services.imports import spreadsheets
from tests.services.imports.spreadsheets import a_file


def count(table: type) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def test_the_dry_run_lists_every_fault_by_line_and_column(context: object) -> None:
    amal, _omar = people.amal(), people.omar()
    actor = people.owner(amal)
    plans.open_plan(actor, NewPlan("omar@example.com", 100_00, 3, people.today_of(amal), external_id="A-1"))
    import_id = spreadsheets.upload(
        actor,
        a_file(
            "omar@example.com,Omar,,900,3,2030-01-31,Sofa,A-2",
            "no email,Sara,12,-5,61,31.02.2030,Desk,A-3",
            "amal@example.com,Amal,,900,3,2030-01-31,Bed,A-4",
            "sara@example.com,Sara,,900,3,2030-01-31,Lamp,A-1",
            "sara@example.com,Sara,,900,3,2030-01-31,Lamp,A-2",
            "sara@example.com,Sara,,0.02,3,2030-01-31,Lamp,,more",
        ),
    )
    before = count(Plan), count(PlanDraft), count(Email), count(User)
    checked = spreadsheets.dry_run(import_id, actor)
    assert spreadsheets.faults_of(checked) == [
        (3, 0, "bad_email"),
        (3, 2, "bad_phone"),
        (3, 3, "bad_total"),
        (3, 4, "bad_count"),
        (3, 5, "bad_date"),
        (4, 0, "not_a_customer"),
        (5, 7, "external_id_used"),
        (6, 7, "duplicate"),
        (7, None, "too_many_cells"),
        (7, 3, "total_too_small"),
    ]
    assert (checked.num_faults, checked.num_wrong_lines, len(checked.lines)) == (10, 5, 6)
    assert (count(Plan), count(PlanDraft), count(Email), count(User)) == before
    with pytest.raises(Refused, match="import_faulty"):
        spreadsheets.carry_out(import_id, actor)
    assert count(PlanDraft) == 0


def test_the_dry_run_counts_all_faults_and_keeps_the_first(context: object) -> None:
    actor = people.owner(people.amal())
    import_id = spreadsheets.upload(actor, a_file(*["nobody,,,5,1,2030-01-31,,"] * 300))
    checked = spreadsheets.dry_run(import_id, actor)
    assert (checked.num_faults, len(checked.faults), checked.faults[-1].line) == (300, 200, 201)


def test_what_is_there_twice_is_named_and_is_no_fault(context: object) -> None:
    amal, _omar = people.amal(), people.omar()
    actor = people.owner(amal)
    plans.open_plan(actor, NewPlan("omar@example.com", 900_00, 3, date(2030, 1, 31)))
    lines = [
        f"{email},,,{total},3,2030-01-31,Sofa," for email, total in (("sara@example.com", 50), ("s@example.com", 50))
    ]
    first = spreadsheets.upload(actor, a_file(*lines, lines[0].upper(), "omar@example.com,,,900,4,2030-01-31,Bed,"))
    checked = spreadsheets.dry_run(first, actor)
    assert (checked.repeated, checked.num_faults) == ([4, 5], 0)
    spreadsheets.carry_out(first, actor)
    again = spreadsheets.upload(actor, a_file(*lines, "sara@example.com,,,50,3,2030-02-01,Sofa,", lines[0] + "A-1"))
    assert spreadsheets.dry_run(again, actor).repeated == [2, 3], (
        "another day, and a number of its own, are another plan"
    )


def test_sums_new_and_known_customers_are_counted(context: object) -> None:
    amal, _omar = people.amal(), people.omar()
    people.a_plan(amal)
    actor = people.owner(amal)
    lines = ("omar@example.com", "OMAR@Example.com", "sara@example.com")
    import_id = spreadsheets.upload(actor, a_file(*(f"{email},,,900.50,3,2030-01-31,,," for email in lines)))
    checked = spreadsheets.dry_run(import_id, actor)
    assert (checked.total, len(checked.people), len(checked.known), checked.num_faults) == (2701_50, 2, 1, 0)


def test_an_import_makes_drafts_and_mails_nobody(context: object) -> None:
    actor = people.owner(people.amal())
    import_id = spreadsheets.imported(actor, spreadsheets.plans_of(3))
    assert (count(PlanDraft), count(Plan), count(Email), count(User)) == (3, 0, 0, 1)
    draft = db.session.scalars(select(PlanDraft).order_by(PlanDraft.id)).first()
    assert draft is not None
    assert (draft.customer_email, draft.total, draft.external_id) == ("buyer-0@example.com", 1_000_00, "A-0")
    assert (draft.num_installments, draft.start_date, draft.line) == (4, date(2030, 1, 31), 2)
    drafts.open_all()
    assert (count(PlanDraft), count(Plan), count(Email)) == (3, 0, 0)
    row = spreadsheets.row_of(import_id)
    assert (row.content, row.num_rows, row.num_known, row.discarded_at) == (None, 3, 0, None)
    assert row.carried_out_at is not None


def test_an_import_is_carried_out_once(app: Flask, database: str) -> None:
    with app.app_context():
        amal = people.amal()
        import_id = spreadsheets.upload(people.owner(amal), spreadsheets.plans_of(50))
        shown = imports.digest(spreadsheets.row_of(import_id))
        db.session.rollback()
    failures: list[BaseException] = []

    def press() -> None:
        try:
            with app.app_context():
                imports.carry_out(import_id, actor=people.owner(amal), shown=shown)
        except BaseException as error:
            failures.append(error)

    presses = [threading.Thread(target=press) for _ in range(4)]
    for thread in presses:
        thread.start()
    for thread in presses:
        thread.join()
    assert failures == []
    with app.app_context():
        assert (count(PlanDraft), count(Contact)) == (50, 50)
        imports.carry_out(import_id, actor=people.owner(amal), shown="stale")
        assert count(PlanDraft) == 50


def test_what_was_shown_is_what_is_imported(context: object) -> None:
    actor = people.owner(people.amal())
    import_id = spreadsheets.upload(actor, spreadsheets.plans_of(2))
    shown = imports.digest(spreadsheets.row_of(import_id))
    chosen = spreadsheets.matched(import_id)
    db.session.rollback()
    imports.match(import_id, Matching(chosen.columns, "month", "weekly"), actor=actor)
    with pytest.raises(Refused, match="import_changed"):
        imports.carry_out(import_id, actor=actor, shown=shown)
    assert count(PlanDraft) == 0
    spreadsheets.carry_out(import_id, actor)
    with pytest.raises(Refused, match="import_carried_out"):
        imports.match(import_id, chosen, actor=actor)


def test_two_files_with_the_same_numbers_are_imported_once(context: object) -> None:
    actor = people.owner(people.amal())
    first, second = (spreadsheets.upload(actor, spreadsheets.plans_of(2)) for _ in range(2))
    spreadsheets.carry_out(first, actor)
    assert spreadsheets.faults_of(spreadsheets.dry_run(second, actor)) == [
        (2, 7, "external_id_drafted"),
        (3, 7, "external_id_drafted"),
    ]


@pytest.mark.long
def test_5000_rows_take_a_bounded_number_of_round_trips(app: Flask, database: str) -> None:
    with app.app_context():
        actor = people.owner(people.amal())
        import_id = spreadsheets.upload(actor, spreadsheets.plans_of(MAX_ROWS))
        shown = imports.digest(spreadsheets.row_of(import_id))
        db.session.rollback()
    with round_trips(app) as trips, app.app_context():
        imports.carry_out(import_id, actor=actor, shown=shown)
    with app.app_context():
        assert (count(PlanDraft), count(Contact)) == (MAX_ROWS, MAX_ROWS)
    assert len(trips.statements) < 30


def test_an_import_of_customers_gives_words_to_known_ones_and_keeps_those_of_others(context: object) -> None:
    amal, omar = people.amal(), people.omar()
    people.a_plan(amal)
    actor = people.owner(amal)
    pairs.describe(omar, Words(name="Omar", note="Pays late"), actor=actor)
    content = a_file(
        "omar@example.com,Omar Haddad,+966501234567,", "nadia@example.com,نادية,٠٥٠ ١٢٣ ٤٥٦٧,VIP",
        header="Email,Name,Phone,Note",
    )  # fmt: skip
    spreadsheets.imported(actor, content, "customers")
    pair = db.session.get_one(Customer, (amal, omar), populate_existing=True)
    assert (pair.name, pair.phone, pair.note) == ("Omar Haddad", "+966501234567", "Pays late")
    changed = db.session.scalars(
        select(Event).where(Event.kind == "customer.updated").order_by(Event.id.desc())
    ).first()
    assert changed is not None and changed.payload.fields == ("name", "phone")
    assert (count(Email), count(Plan), count(User)) == (0, 1, 2)
    contact = db.session.scalars(select(Contact)).one()
    assert (contact.email, contact.name, contact.phone, contact.note) == (
        "nadia@example.com", "نادية", "050 123 4567", "VIP",
    )  # fmt: skip
    db.session.rollback()
    people.a_plan(amal, "Nadia@example.com")
    nadia = db.session.scalars(select(User).where(User.has_email("nadia@example.com"))).one()
    pair = db.session.get_one(Customer, (amal, nadia.id))
    assert (pair.name, pair.phone, pair.note) == ("نادية", "050 123 4567", "VIP")
    assert count(Contact) == 0


def test_words_of_one_business_reach_no_other(context: object) -> None:
    amal, badr = people.amal(), people.badr()
    spreadsheets.imported(people.owner(amal), a_file("nadia@example.com,Nadia", header="Email,Name"), "customers")
    people.a_plan(badr, "nadia@example.com", total=100_000)
    nadia = db.session.scalars(select(User).where(User.has_email("nadia@example.com"))).one()
    assert db.session.get_one(Customer, (badr, nadia.id)).name is None
    assert count(Contact) == 1


def test_a_file_of_customers_names_each_once_and_not_the_member_who_imports(context: object) -> None:
    amal = people.amal()
    nour = people.a_member("nour", amal, "manager")
    people.a_plan(amal, "nour@example.com")
    manager = permissions.member(nour, amal, "manager")
    content = a_file("nour@example.com,Me", "sara@example.com,S", "Sara@example.com,S", header="Email,Name")
    checked = spreadsheets.dry_run(spreadsheets.upload(manager, content, "customers"), manager)
    assert spreadsheets.faults_of(checked) == [(2, 0, "own_words"), (4, 0, "duplicate")]


def test_blocked_people_are_faults(context: object) -> None:
    amal, omar = people.amal(), people.omar()
    people.a_plan(amal)
    pairs.block(amal, user_id=omar)
    actor = people.owner(amal)
    import_id = spreadsheets.upload(actor, a_file("omar@example.com,,,900,3,2030-01-31,,"))
    assert spreadsheets.faults_of(spreadsheets.dry_run(import_id, actor)) == [(2, 0, "blocked")]


def test_a_waiting_file_is_its_senders_alone_and_lapses(context: object) -> None:
    amal, badr = people.amal(), people.badr()
    nour = people.a_member("nour", amal, "manager")
    import_id = spreadsheets.upload(people.owner(amal), spreadsheets.plans_of(1))
    for actor in (people.owner(badr), permissions.member(nour, amal, "manager")):
        for act in (imports.discard, lambda i, actor: imports.carry_out(i, actor=actor, shown="")):
            with pytest.raises(NotFound):
                act(import_id, actor=actor)  # type: ignore[operator]
    with pytest.raises(Forbidden):
        imports.discard(import_id, actor=permissions.member(nour, amal, "collector"))
    assert imports.purge() == 0
    db.session.execute(text("UPDATE imports SET created_at = created_at - interval '25 hours'"))
    db.session.commit()
    with pytest.raises(NotFound):
        spreadsheets.carry_out(import_id, people.owner(amal))
    assert imports.purge() == 1
    assert count(Import) == 0


def test_a_person_keeps_few_waiting_files(context: object) -> None:
    actor = people.owner(people.amal())
    ids = [spreadsheets.upload(actor, spreadsheets.plans_of(1)) for _ in range(imports.MAX_WAITING + 2)]
    db.session.rollback()
    assert list(db.session.scalars(select(Import.id).order_by(Import.id))) == ids[2:]


def test_a_discarded_import_leaves_nothing_behind(context: object) -> None:
    actor = people.owner(people.amal())
    import_id = spreadsheets.imported(actor, spreadsheets.plans_of(3))
    assert imports.discard(import_id, actor=actor) == 3
    assert (count(PlanDraft), count(Contact), count(Import)) == (0, 0, 1)
    assert imports.discard(import_id, actor=actor) == 0
    spreadsheets.imported(actor, spreadsheets.plans_of(3))
    waiting = spreadsheets.upload(actor, spreadsheets.plans_of(1, first=9))
    imports.discard(waiting, actor=actor)
    assert count(Import) == 2


def test_unusable_uploads_write_nothing(context: object) -> None:
    actor = people.owner(people.amal())
    for kind, content in (("plans", b""), ("plans", b"PK\x03\x04"), ("wishes", spreadsheets.plans_of(1))):
        with pytest.raises(Invalid):
            spreadsheets.upload(actor, content, kind)
    assert count(Import) == 0


@pytest.mark.parametrize(
    ("name", "stored"), [("C:\\Users\\Amal\\خطط.csv", "خطط.csv"), ("../x\u202e.csv", "x.csv"), ("", "file.csv")]
)
def test_the_name_of_a_file_is_a_plain_line(context: object, name: str, stored: str) -> None:
    actor = people.owner(people.amal())
    import_id = spreadsheets.upload(actor, spreadsheets.plans_of(1), name=name)
    assert spreadsheets.row_of(import_id).file_name == stored


def test_a_business_that_waits_for_approval_imports_drafts(app: Flask, context: object) -> None:
    dana = operations.a_draft_merchant(app)
    spreadsheets.imported(operations.owner(dana), spreadsheets.plans_of(2))
    assert count(PlanDraft) == 2
