"""The operators' pages of businesses, accounts and refunds, with their decisions."""

import re

import pytest
from flask import Flask

from portal.extensions import db
from portal.models import Refund, User
from portal.services.mail import delivery
from portal.services.operations import merchant_deactivations
from portal.services.payments import refunds
from portal.services.plans import drafts
from portal.services.plans.plans import NewPlan
from tests.fixtures import operations, people
from tests.fixtures.query_log import queries
from tests.web import HTMX, browser_of


def said(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    """The operator olga, Amal with a plan for Omar, and Dana, who waits with a draft and a name like Amal's."""
    with app.app_context():
        olga, amal, omar = people.an_operator(), people.amal(), people.omar()
        people.a_plan(amal)
        dana = operations.a_draft_merchant(app, business_name="Amaĺs Bakery")
        new = NewPlan("nadia@example.com", 30_00, 3, people.today_of(dana), description="Roses")
        drafts.save(operations.owner(dana), new)
        return {"olga": olga, "amal": amal, "omar": omar, "dana": dana}


def test_a_waiting_business_is_listed_marked_and_approved(app: Flask, ids: dict[str, int]) -> None:
    browser, dana = browser_of(app, "olga"), ids["dana"]
    assert "1 business waits for approval" in said(browser.get("/operator").text)
    listed = browser.get("/operator/merchants?state=waiting").text
    assert "Amaĺs Bakery" in listed and "Reads like 1 other name" in listed and "Amal&#39;s Bakery" not in listed
    shown = browser.get(f"/operator/merchants/{dana}").text
    assert "Its name reads like another one" in shown and f'href="/operator/merchants/{ids["amal"]}"' in shown
    assert "Drafts 1" in said(shown) and "Roses" not in shown and "nadia" not in shown
    answer = browser.post(f"/operator/merchants/{dana}/approve", follow_redirects=True)
    assert "is approved. Its owners are told." in said(answer.text) and "olga approved" in said(answer.text)
    with app.app_context():
        drafts.open_all()
        delivery.drain()
        assert operations.states_of("invitation") == ["kept"]
    assert "This business is approved already." in said(
        browser.post(f"/operator/merchants/{dana}/approve", follow_redirects=True).text
    )


def test_a_business_is_declined_with_a_reason(app: Flask, ids: dict[str, int]) -> None:
    browser, address = browser_of(app, "olga"), f"/operator/merchants/{ids['dana']}/decline"
    assert "Its 1 draft stays a draft" in said(browser.get(address).text)
    wrong = browser.post(address, data={"reason": " "})
    assert wrong.status_code == 422 and "Say why, in a few words." in wrong.text
    answer = browser.post(address, data={"reason": "Not a real shop"}, follow_redirects=True)
    assert "The business is declined." in answer.text and "Not a real shop" in answer.text
    assert "Amaĺs Bakery" in browser.get("/operator/merchants?state=declined").text
    assert "An operator declined your business." in said(browser_of(app, "dana").get("/plans/drafts").text)


def test_a_business_is_deactivated_and_reactivated(app: Flask, ids: dict[str, int]) -> None:
    browser, amal = browser_of(app, "olga"), ids["amal"]
    address = f"/operator/merchants/{amal}"
    assert "its 1 open plan" in said(browser.get(f"{address}/deactivate").text)
    answer = browser.post(f"{address}/deactivate", data={"reason": "Fraud"}, follow_redirects=True)
    assert "The business is deactivated." in answer.text and "Fraud" in answer.text
    assert "Amal&#39;s Bakery" in browser.get("/operator/merchants?state=deactivated").text
    answer = browser.post(f"{address}/deactivate", data={"reason": "Fraud"}, follow_redirects=True)
    assert "This is deactivated already." in answer.text
    answer = browser.post(f"{address}/reactivate", data={"reason": "A mistake"}, follow_redirects=True)
    assert "The business is active again." in answer.text


def test_an_account_is_deactivated_with_what_ends(app: Flask, ids: dict[str, int]) -> None:
    browser, amal, amals = browser_of(app, "olga"), ids["amal"], browser_of(app, "amal")
    words = said(browser.get(f"/operator/accounts/{amal}/deactivate").text)
    assert "What ends for good: 1 session, 0 sign-ins over the API, 0 API keys." in words
    assert "Nobody else owns Amal&#39;s Bakery" in words
    answer = browser.post(f"/operator/accounts/{amal}/deactivate", data={"reason": "Stolen"}, follow_redirects=True)
    assert "The account is deactivated." in answer.text and "olga deactivated the account of amal." in said(answer.text)
    assert amals.get("/dashboard").location == "/login?next=/dashboard"
    refused = amals.post("/login", data={"login": "amal", "password": people.PASSWORD})
    assert refused.status_code == 403 and "This account is deactivated." in refused.text
    wrong = amals.post("/login", data={"login": "amal", "password": "something else"})
    assert wrong.status_code == 401 and "deactivated" not in wrong.text
    assert "amal" in browser.get("/operator/accounts?state=deactivated").text
    answer = browser.post(f"/operator/accounts/{amal}/reactivate", data={"reason": "Found"}, follow_redirects=True)
    assert "The account is active again." in answer.text
    assert amals.post("/login", data={"login": "amal", "password": people.PASSWORD}).status_code == 303


def test_an_operator_does_not_deactivate_themself(app: Flask, ids: dict[str, int]) -> None:
    browser = browser_of(app, "olga")
    answer = browser.post(
        f"/operator/accounts/{ids['olga']}/deactivate", data={"reason": "Tired"}, follow_redirects=True
    )
    assert "Another operator has to do it." in answer.text


def test_lists_search_and_go_on_with_a_cursor(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        for number in range(31):
            people.a_customer(f"guest{number}")
    browser = browser_of(app, "olga")
    first = browser.get("/operator/accounts?search=guest").text
    assert first.count("/operator/accounts/") == 30 and "omar" not in first
    (address,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = browser.get(address.replace("&amp;", "&")).text
    assert "guest0" in second and "guest30" not in second
    for search, found in (
        ("amal@", True),
        ("AMALS B", True),
        (str(ids["amal"]), True),
        ("zzz", False),
        ("\x00", False),
    ):
        shown = browser.get("/operator/merchants", query_string={"search": search}).text
        assert (f'/operator/merchants/{ids["amal"]}"' in shown) is found, search
    part = browser.get("/operator/merchants?search=amal", headers=HTMX).text
    assert part.lstrip().startswith('<div id="merchants-list"')
    for address in ("/operator/merchants?state=odd", "/operator/accounts?state=odd", "/operator/accounts?cursor=x"):
        assert browser.get(address).status_code == 400


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(app: Flask, ids: dict[str, int]) -> None:
    browser, counts = browser_of(app, "olga"), []
    for number in (1, 12):
        with app.app_context():
            for index in range(number):
                people.a_merchant(f"shop{number}-{index}")
        with queries(app) as sent:
            browser.get("/operator/merchants")
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 4, counts


def test_a_refund_is_released_or_withheld_without_its_texts(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        plan_id = people.a_plan(ids["amal"])
        first, second, _ = people.installments_of(plan_id)
        people.pay(first.id, ids["omar"])
        people.pay(second.id, ids["omar"])
        merchant_deactivations.deactivate(ids["amal"], actor=None, reason="Fraud")
        for amount in (5_00, 7_00):
            refunds.refund(plan_id, actor=operations.owner(ids["amal"]), amount=amount, reason="A secret reason")
    shown = browser_of(app, "amal").get(f"/plans/{plan_id}").text
    assert "waits for an operator’s release" in shown
    browser = browser_of(app, "olga")
    assert "2 refunds wait for a release" in said(browser.get("/operator").text)
    page = browser.get("/operator/refunds").text
    assert "SAR\xa05.00" in page and "SAR\xa07.00" in page and "secret" not in page and "cake" not in page
    first_id, second_id = re.findall(r"/operator/refunds/(\d+)/release", page)
    answer = browser.post(f"/operator/refunds/{first_id}/release", follow_redirects=True)
    assert "The refund is released." in answer.text
    answer = browser.post(f"/operator/refunds/{second_id}/withhold", data={"reason": "No"}, follow_redirects=True)
    assert "The refund is withheld." in answer.text and "No refund waits" in answer.text
    with app.app_context():
        refunds.settle_refund(int(first_id))
        states = {row.id: row.state for row in db.session.scalars(db.select(Refund))}
    assert states == {int(first_id): "succeeded", int(second_id): "declined"}
    amals = browser_of(app, "amal")
    assert "The operator of this installation did not release it." in amals.get(f"/plans/{plan_id}").text


def test_an_unknown_business_account_or_refund_is_not_found(app: Flask, ids: dict[str, int]) -> None:
    browser = browser_of(app, "olga")
    for address in ("merchants/0", f"merchants/{2**63}", "accounts/999999", f"refunds/{2**63}/withhold"):
        assert browser.get(f"/operator/{address}").status_code == 404
    assert browser.get(f"/operator/accounts/{ids['omar']}").status_code == 200
    with app.app_context():
        people.a_plan(ids["amal"], "nadia@example.com")
        nadia = db.session.scalars(db.select(User.id).where(User.email == "nadia@example.com")).one()
    assert "Invited" in browser.get(f"/operator/accounts/{nadia}").text
