"""The search of a business: parts of words, numbers and amounts, within the business alone."""

import pytest
from sqlalchemy import text

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import Customer, Merchant, User
from portal.reports import search
from portal.reports.books import movements
from portal.reports.books.movements import MovementFilters
from portal.reports.merchants import customers
from portal.reports.merchants.filters import CustomerFilters
from portal.reports.payments import payments, refunds
from portal.reports.payments.filters import PaymentFilters, RefundFilters
from portal.reports.plans import plans
from portal.reports.plans.filters import InstallmentFilters, PlanFilters
from portal.reports.tallies import LIMIT
from portal.services.payments.refunds import refund as give_back
from portal.services.plans import pairs
from portal.services.plans.pairs import Words
from portal.services.plans.plans import NewPlan, open_plan
from tests.fixtures import people, query_log


@pytest.fixture(
    params=["few", *(pytest.param(each, marks=pytest.mark.long) for each in ("many", "most"))], autouse=True
)
def how_many(request, monkeypatch):
    """Each test runs with the matching plans named to the lists, with candidates named to lists that look at each of
    them, and with lists that look at all their rows."""
    if request.param != "few":
        monkeypatch.setattr(search, "MANY", 0)
    if request.param == "most":
        monkeypatch.setattr(search, "MAX_PEOPLE", 0)
        monkeypatch.setattr(search, "MAX_CANDIDATES", 0)
    return request.param


WORDS = Words(name="\u00c9lodie Al-Harbi \u0623\u0645\u0644", phone="+966 50 123 4567")


@pytest.fixture
def shop(context):
    """Amal's business with a plan of Omar (named Élodie Al-Harbi), and one of Sara. Ids by name."""
    ids = {"amal": people.amal(), "omar": people.omar(), "sara": people.sara()}
    ids["plan"] = people.a_plan(ids["amal"], total=1_200_50, count=2, description="Oak desk, 140 cm")
    ids["other"] = people.a_plan(ids["amal"], "sara@example.com", total=60_00, count=1, description="Bread")
    pairs.describe(ids["omar"], WORDS, actor=people.owner(ids["amal"]))
    people.pay(people.installments_of(ids["plan"])[0].id, ids["omar"])
    db.session.rollback()
    return ids


def found(actor: Actor, typed: str) -> list[int]:
    return [plan.id for plan in plans.list_plans(actor, PlanFilters(search=typed)).items]


@pytest.mark.parametrize(
    "typed",
    [
        "harbi", "HARB", "al", "\u00e9lo", "\u0623\u0645\u0644", "mar@exa", "desk", "esk, 1", "harbi lodie", "oa",
        "1,200.50", "SAR 1200.50",
        "501234567", "050 123 4567", "+966 50 1", "1234",
    ],
)  # fmt: skip
def test_a_plan_is_found_by_any_part_of_its_customer_or_purchase_and_by_its_amount(shop, typed):
    assert found(people.owner(shop["amal"]), typed) == [shop["plan"]]


@pytest.mark.parametrize(
    "typed", ["z", "arb elo desk", "lm", "harbx", "\x00", "\u202e", "%", "___", "99.99", " ", "ibrah"]
)
def test_what_is_nowhere_finds_nothing(shop, typed):
    expected = [shop["other"], shop["plan"]] if not typed.strip() else []
    assert found(people.owner(shop["amal"]), typed) == expected


def test_numbers_find_plans_and_payments(shop):
    owner = people.owner(shop["amal"])
    assert shop["plan"] in found(owner, str(shop["plan"])) and found(owner, f"#{shop['other']}") == [shop["other"]]
    for typed in ("600.25", "harb", f"#{shop['plan']}"):
        (payment,) = payments.list_with_plans(owner, PaymentFilters(search=typed)).items
        assert payment.plan_id == shop["plan"]
    assert payments.list_with_plans(owner, PaymentFilters(search="bread")).items == []


def test_installments_are_found_by_their_plan_and_their_own_amount(shop, how_many):
    owner = people.owner(shop["amal"])

    def plans_of(typed):
        filters = InstallmentFilters(search=typed)
        rows = plans.list_installments(owner, filters).items
        counted = plans.tally_installments(owner, filters).run()
        assert counted.more if rows and how_many != "few" and typed != "600.25" else counted.count == len(rows)
        return [row.plan_id for row in rows]

    for typed in ("harb", "50 123 4567", "oak desk", f"#{shop['plan']}", "1200.50"):
        assert plans_of(typed) == [shop["plan"]] * 2, typed
    assert plans_of("600.25") == [shop["plan"]] * 2, "the amount of each installment"
    assert plans_of("SAR 60.00") == [shop["other"]]
    assert plans_of("nothing like it") == []
    badr = people.owner(people.badr())
    assert plans.list_installments(badr, InstallmentFilters(search="oak desk")).items == []


def test_customers_are_found_in_every_order_of_the_list(shop):
    merchant = db.session.get_one(Merchant, shop["amal"])
    for show in ("all", "owing"):
        page = customers.list_customers(merchant, CustomerFilters(show=show, search="harbi"))
        assert [customer.user.id for customer in page.items] == [shop["omar"]]


def test_another_business_finds_no_words_and_no_rows_of_this_one(shop):
    badr = people.badr()
    theirs = people.a_plan(badr, "omar@example.com", description="Cable")
    for typed in ("harbi", "desk", "501234567", str(shop["plan"]), "1200.50"):
        assert found(people.owner(badr), typed) == []
    assert found(people.owner(badr), "omar") == [theirs]
    grams = dict(
        db.session.execute(
            db.select(Customer.merchant_id, Customer.grams).where(Customer.user_id == shop["omar"])
        ).all()
    )
    assert not set(grams[shop["amal"]]) & set(grams[badr])


@pytest.mark.parametrize("typed", ["harbi", "desk", "oa", "al oa", "SAR 1200.50", "501234567", "600.25", "nobody"])
def test_money_is_found_by_its_plan_and_its_own_amount(shop, how_many, typed):
    owner = people.owner(shop["amal"])
    (payment,) = payments.list_with_plans(owner).items
    give_back(payment.plan_id, actor=owner, amount=600_25, reason="Sorry", payment_id=payment.id)
    expected = [] if typed in ("al oa", "nobody") else [shop["plan"]]
    moved = movements.list_movements(owner, MovementFilters(search=typed)).items
    assert [each.entry.plan_id for each in moved] == expected * 2
    refunded = refunds.list_with_payments(owner, RefundFilters(search=typed)).items
    assert [refund.plan_id for refund in refunded] == expected
    paid = payments.list_with_plans(owner, PaymentFilters(search=typed)).items
    assert [payment.plan_id for payment in paid] == expected
    sums = movements.sums(owner, MovementFilters(search=typed)).rows
    number = sum(each.count for each in sums)
    assert number == (0 if how_many != "few" and typed != "600.25" else len(moved))


def test_matches_of_a_word_in_customers_and_purchases_come_once_and_in_order(shop, monkeypatch, how_many):
    again = people.a_plan(shop["amal"], total=50_00, count=1, description="Bread of Harbi")
    owner = people.owner(shop["amal"])
    assert found(owner, "harbi") == [again, shop["plan"]] and found(owner, "bread") == [again, shop["other"]]
    filters = PlanFilters(search="harbi")
    counted = plans.tally_plans(owner, filters).run()
    assert (counted.count, counted.more) == ((2, False) if how_many == "few" else (LIMIT, True))
    narrowed = plans.tally_plans(owner, PlanFilters(search="harbi", status="active")).run()
    assert narrowed.count == 2 if how_many == "few" else narrowed is None


def test_a_page_looks_the_matching_plans_up_once_and_again_after_a_change(app, shop):
    owner, filters = people.owner(shop["amal"]), PlanFilters(search="desk")
    with query_log.queries(app) as sent:
        tally = plans.tally_plans(owner, filters)
        plans.list_plans(owner, filters, tally=tally)
        plans.list_plans(owner, filters)
    assert len([statement for statement in sent if "array_agg" in statement]) == 2, "candidates, and those that match"
    new = people.a_plan(shop["amal"], total=50_00, count=1, description="Desk lamp")
    assert new in found(owner, "desk")


def test_words_of_very_many_plans_are_looked_for_in_the_plans_of_the_rarer_words(context, monkeypatch):
    amal = people.amal()
    numbers = {number: people.a_plan(amal, count=1, description=f"Order {number}") for number in (1234, 5678, 5699)}
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE plan_grams"))
    monkeypatch.setattr(search, "MAX_CANDIDATES", 2)
    search._kept.clear()
    owner = people.owner(amal)
    assert search._telling_grams(amal, ["Order", "5678"]) == ["567", "678"]
    assert search._telling_grams(amal, ["ORDER"]) == []
    newest_first = [numbers[5699], numbers[5678], numbers[1234]]
    for typed, expected in {
        "order 5678": newest_first[1:2],
        "56 order": newest_first[:2],
        "order": newest_first,
        "rde": newest_first,
        "border 5678": [],
    }.items():
        assert found(owner, typed) == expected, typed
    search._kept.clear()


def test_grams_follow_a_new_email_and_a_corrected_description(shop):
    db.session.get_one(User, shop["sara"]).email = "new.address@example.com"
    db.session.commit()
    owner = people.owner(shop["amal"])
    assert found(owner, "w.addr") == [shop["other"]] and found(owner, "sara@") == []


def test_an_external_id_is_found_by_a_part(shop):
    new = NewPlan("omar@example.com", 100, 1, people.today_of(shop["amal"]), external_id="INV-2026-0077")
    plan_id = open_plan(people.owner(shop["amal"]), new).plan_id
    assert found(people.owner(shop["amal"]), "2026-007") == [plan_id]
