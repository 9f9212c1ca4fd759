"""Lists of a merchant's customers with the amounts that they owe."""

import pytest
from sqlalchemy import text

from portal.errors import Invalid
from portal.extensions import db
from portal.models import Merchant, User
from portal.reports import orders, tallies
from portal.reports.exports.customers import export_customers
from portal.reports.merchants import customers
from portal.reports.merchants.customers import CustomerTally
from portal.reports.merchants.filters import CustomerFilters
from portal.services.plans import pairs
from portal.services.plans.pairs import Words
from tests.fixtures import people
from tests.fixtures.query_log import queries

pytestmark = pytest.mark.usefixtures("context")


def merchant(merchant_id):
    db.session.rollback()
    return db.session.get_one(Merchant, merchant_id)


def emails(page):
    return [customer.user.email.removesuffix("@example.com") for customer in page.items]


def usernames(page):
    return [customer.user.username for customer in page.items]


@pytest.fixture
def crowd(amal):
    """c0 to c6 with a plan each: c3 owes most, c1 and c5 are late, c6 has paid all. Another merchant has a customer."""
    for number, (total, first) in enumerate(((10, 3), (20, -9), (30, 3), (90, 3), (40, 3), (50, -9), (60, 0))):
        customer = people.a_customer(f"c{number}")
        plan_id = people.a_plan(amal, f"c{number}@example.com", total=total * 100, count=1, first=first)
        if number == 6:
            people.pay(people.installments_of(plan_id)[0].id, customer)
    people.a_plan(people.badr(), "stranger@example.com")
    people.a_plan(amal, "c0@example.com", total=5_00, count=1)


def test_the_newest_account_comes_first(amal, crowd):
    page = customers.list_customers(merchant(amal))
    assert emails(page) == [f"c{number}" for number in range(6, -1, -1)]
    first, last = page.items[0], page.items[-1]
    assert (first.plans, first.open_plans, first.outstanding, first.overdue) == (1, 0, {}, {})
    assert (last.plans, last.open_plans, last.outstanding, last.overdue) == (2, 2, {"SAR": 15_00}, {})


def test_who_owes_most_and_who_is_most_late(amal, crowd):
    owing = customers.list_customers(merchant(amal), CustomerFilters(show="owing"))
    assert emails(owing) == ["c3", "c5", "c4", "c2", "c1", "c0"]
    overdue = customers.list_customers(merchant(amal), CustomerFilters(show="overdue"))
    assert emails(overdue) == ["c5", "c1"]
    assert overdue.items[0].overdue == {"SAR": 50_00}


def test_search_matches_the_beginning_of_name_or_email(amal, crowd):
    for show, search, names in (
        ("all", "C3", ["c3"]), ("all", "c", [f"c{number}" for number in range(6, -1, -1)]), ("all", "%", []),
        ("all", "stranger", []), ("all", "a\x00b", []), ("overdue", "c1@", ["c1"]), ("owing", "c6", []),
    ):  # fmt: skip
        assert emails(customers.list_customers(merchant(amal), CustomerFilters(show=show, search=search))) == names


@pytest.mark.parametrize(
    "filters",
    [CustomerFilters(), CustomerFilters(search="c"), CustomerFilters(show="owing"), CustomerFilters(show="overdue")],
)
def test_pages_follow_each_other_without_gaps(amal, crowd, filters):
    whole = emails(customers.list_customers(merchant(amal), filters))
    seen, cursor = [], None
    while True:
        page = customers.list_customers(merchant(amal), filters, limit=2, cursor=cursor)
        seen += emails(page)
        if (cursor := page.next_cursor) is None:
            break
        people.a_plan(amal, f"later{len(seen)}@example.com", total=1, count=1, first=99)
    assert seen[: len(whole)] == whole


NAMES = ["c0", "c1", "c2", "c3", "c4", "c5", "c6"]
SORTED = {
    "account": NAMES,
    "plan": ["c1", "c2", "c3", "c4", "c5", "c6", "c0"],
    "name": ["c6", "c1", "c2", "c3", "c4", "c5", "c0"],
    "owed": ["c6", "c0", "c1", "c2", "c4", "c5", "c3"],
    "late": ["c1", "c5"],
    "days": ["c1", "c5"],
}


@pytest.mark.parametrize("name", [*SORTED, *(pytest.param(f"-{name}", marks=pytest.mark.long) for name in SORTED)])
def test_every_order_leads_forwards_and_back(amal, crowd, name):
    """c6 is called Aisha. c0 has no name, like an erased person, and comes last in both directions."""
    actor = people.owner(amal)
    ids = {user.display_name: user.id for user in db.session.scalars(db.select(User))}
    pairs.describe(ids["c6"], Words(name="Aisha"), actor=actor)
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE customers SET sort_name = NULL WHERE user_id = :id"), {"id": ids["c0"]})
    order = {**orders.CUSTOMERS, **customers.LATE_ORDERS}[name]
    show = {"late": "overdue", "days": "overdue"}.get(name.removeprefix("-"), "all")
    expected = SORTED[name.removeprefix("-")][:: -1 if name.startswith("-") else 1]
    if name == "-name":
        expected = ["c5", "c4", "c3", "c2", "c1", "c6", "c0"]
    filters, shop = CustomerFilters(show=show), merchant(amal)
    pages = [customers.list_customers(shop, filters, order=order, limit=2)]
    while (cursor := pages[-1].next_cursor) is not None:
        pages.append(customers.list_customers(shop, filters, order=order, limit=2, cursor=cursor))
    assert [name for page in pages for name in usernames(page)] == expected
    back = pages[-1:]
    while (cursor := back[0].prev_cursor) is not None:
        back.insert(0, customers.list_customers(shop, filters, order=order, limit=2, cursor=cursor))
    assert [name for page in back for name in usernames(page)] == expected
    rows = export_customers(actor, filters, order).rows
    assert [row[1] for row in rows] == expected


def test_customers_are_counted_with_what_they_owe(amal, crowd, monkeypatch):
    shop = merchant(amal)
    tally = customers.tally_customers(shop, CustomerFilters())
    assert (tally.count, tally.more, tally.outstanding, tally.overdue) == (7, False, {"SAR": 245_00}, {"SAR": 70_00})
    late = customers.tally_customers(shop, CustomerFilters(show="overdue"))
    assert (late.count, late.outstanding, late.overdue) == (2, {"SAR": 70_00}, {"SAR": 70_00})
    assert customers.tally_customers(shop, CustomerFilters(search="c3")).outstanding == {"SAR": 90_00}
    monkeypatch.setattr(tallies, "LIMIT", 6)
    assert customers.tally_customers(shop, CustomerFilters()) == CustomerTally(6, True, {"SAR": 245_00}, {"SAR": 70_00})
    monkeypatch.setattr(tallies, "LIMIT", 1)
    assert customers.tally_customers(shop, CustomerFilters(show="overdue")) == CustomerTally(
        1, True, {}, {"SAR": 70_00}
    )
    assert customers.tally_customers(shop, CustomerFilters(search="c")) == CustomerTally(1, more=True)


def test_customers_with_many_installments_are_summed(amal, monkeypatch):
    """More open installments than rows that are counted: balances are summed, and what is late up to the bound."""
    shop = merchant(amal)
    people.a_plan(amal, total=60_00, count=60, first=-65)
    monkeypatch.setattr(tallies, "LIMIT", 5)
    late = {"SAR": 3_00}
    for filters in (CustomerFilters(), CustomerFilters(show="owing"), CustomerFilters(show="overdue")):
        assert customers.tally_customers(shop, filters) == CustomerTally(1, False, {"SAR": 60_00}, late), filters
    searched = CustomerFilters(search="omar")
    assert customers.tally_customers(shop, searched) == CustomerTally(1, False, {"SAR": 60_00}, late)
    monkeypatch.setattr(tallies, "LIMIT", 2)
    assert customers.tally_customers(shop, searched) == CustomerTally(1, False, {"SAR": 60_00})


@pytest.mark.parametrize("cursor", ["", "x", "WzFd_", "bnVsbA", "W1siYSJdXQ"])
def test_an_invalid_cursor_is_refused(amal, cursor):
    for show in ("all", "owing"):
        with pytest.raises(Invalid):
            customers.list_customers(merchant(amal), CustomerFilters(show=show), cursor=cursor)


def test_more_customers_cost_no_more_queries(app, amal, crowd):
    shop = merchant(amal)
    for filters in (CustomerFilters(), CustomerFilters(show="owing"), CustomerFilters(search="c")):
        counts = []
        for limit in (1, 6):
            db.session.expire_all()
            assert shop.id
            with queries(app) as sent:
                customers.list_customers(shop, filters, limit=limit)
            counts.append(len(sent))
        assert counts == [2, 2]
