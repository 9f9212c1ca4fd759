"""A business's own words about a customer: name, phone and note."""

import json
from datetime import timedelta

import pytest

from portal.domain import identifiers
from portal.domain.events import CustomerUpdated
from portal.errors import Invalid, NotFound
from portal.extensions import db
from portal.models import Customer, Event, Plan
from portal.reports.exports import personal_data
from portal.reports.exports.customers import export_customers
from portal.reports.exports.installments import export_installments
from portal.reports.exports.plans import export_plans
from portal.reports.merchants import customers
from portal.reports.plans import plans
from portal.reports.plans.filters import InstallmentFilters
from portal.services.adjustments import reschedules
from portal.services.adjustments.reschedules import NewTerms
from portal.services.plans import customer_emails, pairs
from portal.services.plans.pairs import Words
from portal.services.privacy import erasures
from tests.fixtures import people

WORDS = Words(name=" Omar Haddad ", phone="+966 50 123 4567", note="Rings twice")


@pytest.fixture
def amal(context):
    return people.amal()


@pytest.fixture
def omar(context):
    return people.omar()


def words_of(merchant_id, user_id):
    db.session.rollback()
    pair = db.session.get(Customer, (merchant_id, user_id), populate_existing=True)
    return pair and (pair.name, pair.phone, pair.note)


def test_words_belong_to_the_pair_and_no_other_business_sees_them(amal, omar):
    badr = people.badr()
    plan_id, theirs = people.a_plan(amal), people.a_plan(badr)
    pairs.describe(omar, WORDS, actor=people.owner(amal))
    assert words_of(amal, omar) == ("Omar Haddad", "+966 50 123 4567", "Rings twice")
    assert words_of(badr, omar) == (None, None, None)
    assert (db.session.get_one(Plan, plan_id).pair_name, db.session.get_one(Plan, theirs).pair_name) == (
        "Omar Haddad",
        None,
    )
    (mine,), (other,) = customers.describe(amal, [omar]), customers.describe(badr, [omar])
    assert (mine.name, mine.note, other.name, other.phone, other.note) == (
        "Omar Haddad",
        "Rings twice",
        None,
        None,
        None,
    )
    for export in (export_customers, export_plans):
        name = export(people.owner(amal)).header.index("customer_name")
        assert [row[name] for row in export(people.owner(amal)).rows] == ["Omar Haddad"]
        assert [row[name] for row in export(people.owner(badr)).rows] == [None]


def test_a_word_that_is_left_out_stays_and_an_empty_one_is_removed(amal, omar):
    people.a_plan(amal)
    pairs.describe(omar, WORDS, actor=people.owner(amal))
    pairs.describe(omar, Words(phone="", note="Two dogs"), actor=people.owner(amal))
    assert words_of(amal, omar) == ("Omar Haddad", None, "Two dogs")


def test_a_change_is_one_private_event_of_the_newest_plan(amal, omar):
    people.a_plan(amal)
    newest = people.a_plan(amal)
    for _ in range(2):
        pairs.describe(omar, WORDS, actor=people.owner(amal))
    rows = db.session.scalars(db.select(Event).where(Event.kind == "customer.updated")).all()
    assert [(row.plan_id, row.payload) for row in rows] == [
        (newest, CustomerUpdated(customer_id=omar, fields=("name", "phone", "note")))
    ]
    assert "Omar" not in json.dumps(rows[0].data)
    assert [row.kind for row in plans.timeline_of(newest, private=True)].count("customer.updated") == 1
    assert "customer.updated" not in [row.kind for row in plans.timeline_of(newest, private=False)]


def test_faults_are_told_together_and_nothing_is_written(amal, omar):
    people.a_plan(amal)
    with pytest.raises(Invalid) as refused:
        pairs.describe(omar, Words(name="a\nb", phone="call me", note="x" * 501), actor=people.owner(amal))
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [
        ("name", "bad_text"), ("phone", "bad_phone"), ("note", "too_long"),
    ]  # fmt: skip
    assert words_of(amal, omar) == (None, None, None)
    with pytest.raises(NotFound):
        pairs.describe(people.sara(), WORDS, actor=people.owner(amal))


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("+966 50 123 4567", "+966 50 123 4567"), ("  (02)  555-0199 ", "(02) 555-0199"),
        ("\u0660\u0665\u0660 \u0661\u0662\u0663", "050 123"),
        ("12", None), ("1" * 16, None), ("+", None), ("0501234567 ext 4", None), ("", None),
    ],
)  # fmt: skip
def test_phone_numbers(typed, stored):
    assert identifiers.phone(typed) == stored


def test_erasure_removes_the_words_and_the_persons_file_has_no_note(amal, omar):
    (row,) = people.installments_of(people.a_plan(amal, total=10_00, count=1))
    pairs.describe(omar, WORDS, actor=people.owner(amal))
    people.pay(row.id, omar)
    db.session.rollback()
    document = "".join(personal_data.stream(omar))
    (shop,) = json.loads(document)["shops"]
    assert (shop["name"], shop["phone"]) == ("Omar Haddad", "+966 50 123 4567") and "Rings twice" not in document
    erasures.erase(omar, password=people.PASSWORD)
    assert words_of(amal, omar) == (None, None, None)


def test_the_persons_file_says_what_moved_to_other_days(amal, omar):
    plan_id = people.a_plan(amal, total=10_00, count=1, first=3)
    (row,) = people.installments_of(plan_id)
    terms = NewTerms("move", installment_id=row.id, due_date=row.due_date + timedelta(days=9))
    reschedules.reschedule(plan_id, actor=people.owner(amal), terms=terms, reason="Salary comes later")
    db.session.rollback()
    rows = json.loads("".join(personal_data.stream(omar)))["installments"]
    assert [(row["amount"], row["moved"], row["status"]) for row in rows] == [
        ("10.00", "10.00", "replaced"),
        ("10.00", "0.00", "pending"),
    ]
    exported = export_installments(people.owner(amal), InstallmentFilters(replaced=True))
    whole = [dict(zip(exported.header, row, strict=True)) for row in exported.rows]
    assert [(str(row["moved"]), row["status"]) for row in whole] == [("10.00", "replaced"), ("0.00", "pending")]


def test_a_corrected_email_takes_the_words_along(amal, omar):
    plan_id = people.a_plan(amal, "layla@example.cm")
    former = db.session.get_one(Plan, plan_id).customer_id
    pairs.describe(former, Words(name="Layla"), actor=people.owner(amal))
    customer_emails.correct(plan_id, "layla@example.com", actor=people.owner(amal))
    db.session.rollback()
    plan = db.session.get_one(Plan, plan_id, populate_existing=True)
    assert plan.pair_name == "Layla" and words_of(amal, former) == (None, None, None)
