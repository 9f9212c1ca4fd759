"""The pages of acceptance, dispute, withdrawal and blocked shops."""

import re

import pytest

from portal.extensions import db
from portal.models import Acceptance, Dispute
from portal.services.agreements import disputes
from tests.fixtures import people
from tests.fixtures.agreements import acceptance, pair_of
from tests.pages import pseudo_language
from tests.web import browser_of


@pytest.fixture
def ids(app, database):
    """Amal with a plan of Omar (`plan`) and one of Nadia, who has no account (`nadia`); both wait for acceptance."""
    with app.app_context(), acceptance(app, "required"):
        amal, omar = people.amal(), people.omar()
        people.an_operator()
        return {
            "amal": amal,
            "omar": omar,
            "plan": people.a_plan(amal, description="Oak desk"),
            "nadia": people.a_plan(amal, "nadia@example.com", description="Oak chair"),
        }


def state(app, plan_id):
    with app.app_context():
        plan = people.plan_of(plan_id)
        return plan.counted, plan.accepted_at is not None, plan.disputed


def link(app, plan_id, kind="customer"):
    with app.app_context():
        return f"/invitations/{people.token_of(plan_id, kind)}"


def headline(page):
    return re.sub(r"<[^>]+>", "", re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)[1]).strip()


class TestAsked:
    def test_it_is_a_question_on_the_home_page_and_never_leads_it(self, app, ids):
        page = browser_of(app, "omar").get("/home").text
        assert headline(page) == "Nothing is due"
        assert "Are these yours?" in page
        assert f'href="/plans/{ids["plan"]}/dispute"' in page
        assert "No plans yet" not in page

    def test_its_page_asks_with_the_terms(self, app, ids):
        page = browser_of(app, "omar").get(f"/plans/{ids['plan']}").text
        assert "Is this plan yours?" in page
        assert "You pay Amal&#39;s Bakery SAR\u00a0100.00 in all:" in page
        assert "Automatic payment" not in page

    def test_the_button_accepts_it(self, app, ids):
        omar = browser_of(app, "omar")
        assert omar.post(f"/plans/{ids['plan']}/acceptance").headers["Location"] == f"/plans/{ids['plan']}"
        assert state(app, ids["plan"]) == (True, True, False)
        page = omar.get(f"/plans/{ids['plan']}").text
        assert "You accepted the plan" in page
        assert "Is this plan yours?" not in page
        assert "This is not mine" not in page
        with app.app_context():
            kept = db.session.get_one(Acceptance, ids["plan"])
            assert (kept.address, kept.language) == ("127.0.0.1", pseudo_language.TAG)
            assert "By accepting you say that this purchase is yours" in kept.terms

    def test_the_business_sees_that_it_waits_and_lists_it(self, app, ids):
        amal = browser_of(app, "amal")
        page = amal.get(f"/plans/{ids['plan']}").text
        assert "has not accepted this plan yet" in page
        assert "Record a payment" not in page
        assert "Send a reminder now" not in page
        assert "Oak desk" in amal.get("/plans?status=unaccepted").text
        assert "Oak desk" not in amal.get("/plans?status=disputed").text
        assert "Awaiting acceptance" in amal.get("/plans").text

    def test_paying_accepts_it(self, app, ids):
        omar = browser_of(app, "omar")
        with app.app_context():
            row = people.installments_of(ids["plan"])[0]
        pressed = {"key": "one-use-key-0123456789", "shown": row.remaining, "method": "card_ok", "place": "row"}
        assert omar.post(f"/installments/{row.id}/payments", data=pressed).status_code == 303
        assert state(app, ids["plan"]) == (True, True, False)


class TestByTheLinks:
    def test_the_customers_link_accepts(self, app, ids):
        client, address = app.test_client(), link(app, ids["nadia"])
        assert "Is this plan yours?" in client.get(address).text
        assert client.post(f"{address}/acceptance").status_code == 303
        assert state(app, ids["nadia"]) == (True, True, False)

    def test_the_customers_link_disputes_behind_a_confirmation(self, app, ids):
        client, address = app.test_client(), link(app, ids["nadia"])
        page = client.get(f"{address}/dispute").text
        assert "Yes, it is not mine" in page
        assert "SAR\u00a0100.00" in page
        assert state(app, ids["nadia"]) == (False, False, False)
        assert client.post(f"{address}/dispute").status_code == 303
        assert state(app, ids["nadia"]) == (False, False, True)
        assert "You said that this plan is not yours" in client.get(address).text

    @pytest.mark.parametrize("act", ["acceptance", "dispute", "dispute/uphold"])
    def test_the_pay_link_does_neither(self, app, ids, act):
        client, address = app.test_client(), link(app, ids["nadia"], "pay")
        page = client.get(address).text
        assert "Is this plan yours?" not in page
        assert "This is not mine" not in page
        assert client.post(f"{address}/{act}").status_code == 403
        assert state(app, ids["nadia"]) == (False, False, False)

    @pytest.mark.parametrize(("kind", "accepts"), [("pay", False), ("customer", True)])
    def test_a_cent_by_the_pay_link_accepts_nothing(self, app, ids, kind, accepts):
        client, address = app.test_client(), link(app, ids["nadia"], kind)
        form = client.get(f"{address}/pay").text
        hidden = dict(re.findall(r'name="(key|shown|shown_next|shown_due)"[^>]*value="([^"]*)"', form))
        sent = hidden | {"choice": "amount", "amount": "0.01", "method": "card_ok"}
        assert client.post(f"{address}/pay", data=sent).status_code == 303
        assert state(app, ids["nadia"]) == (accepts, accepts, False)


class TestDisputed:
    @pytest.fixture(autouse=True)
    def disputed(self, app, ids):
        omar = browser_of(app, "omar")
        page = omar.get(f"/plans/{ids['plan']}/dispute").text
        assert "Is this plan not yours?" in page
        assert omar.post(f"/plans/{ids['plan']}/dispute").status_code == 303

    def test_the_business_finds_it_first_and_answers_once(self, app, ids):
        amal = browser_of(app, "amal")
        dashboard = amal.get("/dashboard").text
        assert "“This is not mine”: cancel it or answer" in dashboard
        assert "Oak desk" in amal.get("/plans?status=disputed").text
        page = amal.get(f"/plans/{ids['plan']}").text
        assert f'href="/plans/{ids["plan"]}/dispute/answer"' in page
        assert f'href="/plans/{ids["plan"]}/cancel"' in page
        assert amal.post(f"/plans/{ids['plan']}/dispute/answer", data={"answer": " "}).status_code == 422
        sent = amal.post(f"/plans/{ids['plan']}/dispute/answer", data={"answer": "You came on Friday"})
        assert sent.status_code == 303
        assert "You answered: <bdi>You came on Friday</bdi>" in amal.get(f"/plans/{ids['plan']}").text
        again = amal.post(f"/plans/{ids['plan']}/dispute/answer", data={"answer": "Really"}, follow_redirects=True)
        assert "This dispute was answered before" in again.text

    def test_the_customer_reads_the_answer_and_upholds_it_and_the_operator_decides(self, app, ids):
        with app.app_context():
            disputes.answer(ids["plan"], actor=people.owner(ids["amal"]), text="You came on Friday")
        omar, olga = browser_of(app, "omar"), browser_of(app, "olga")
        waiting = olga.get("/operator/disputes").text
        assert "To be decided from" in waiting
        assert "Oak desk" not in waiting
        assert "omar" not in waiting
        assert "You came on Friday" in omar.get(f"/plans/{ids['plan']}").text
        assert omar.post(f"/plans/{ids['plan']}/dispute/uphold").status_code == 303
        assert "The operator of this site decides" in omar.get(f"/plans/{ids['plan']}").text
        assert "It stands" in olga.get("/operator/disputes").text
        decided = olga.post(f"/operator/disputes/{ids['plan']}", data={"decision": "stands"}, follow_redirects=True)
        assert "The plan stands. Both sides are told." in decided.text
        assert "No disputes" in decided.text
        assert state(app, ids["plan"]) == (True, False, False)
        page = omar.get(f"/plans/{ids['plan']}").text
        assert "Dispute decided: the plan stands" in page
        assert "The operator" in page

    def test_the_shop_makes_no_plan_until_the_customer_allows_it(self, app, ids):
        amal, omar = browser_of(app, "amal"), browser_of(app, "omar")
        form = amal.get("/plans/new").text
        key = re.search(r'name="key"[^>]*value="([^"]*)"', form)[1]
        day = re.search(r'name="start_date"[^>]*value="([^"]*)"', form)[1]
        sent = {
            "customer_email": "omar@example.com", "description": "Lamp", "total_amount": "10", "num_installments": "1",
            "interval": "monthly", "start_date": day, "key": key,
        }  # fmt: skip
        refused = amal.post("/plans", data=sent)
        assert refused.status_code == 422
        assert "This person takes no new plans from your business at present." in refused.text
        assert "when you said that a plan is not yours" in omar.get("/account/shops").text
        assert omar.post(f"/account/shops/{ids['amal']}/allow").status_code == 303
        assert "May make plans for you" in omar.get("/account/shops").text
        assert amal.post("/plans", data=sent).status_code == 303


def test_a_shop_is_blocked_and_allowed_on_the_shops_page(app, ids):
    omar = browser_of(app, "omar")
    assert "/account/shops" in omar.get("/account").text
    assert omar.post(f"/account/shops/{ids['amal']}/block").status_code == 303
    assert "Blocked since" in omar.get("/account/shops").text
    with app.app_context():
        assert pair_of(ids["amal"], ids["omar"]).blocked_at is not None
    assert "No shops yet" in browser_of(app, _sara(app)).get("/account/shops").text


def _sara(app):
    with app.app_context():
        people.sara()
    return "sara"


def test_a_customer_withdraws_while_nothing_is_delivered(app, ids):
    amal, omar = browser_of(app, "amal"), browser_of(app, "omar")
    page = amal.get("/settings").text
    assert "Days to withdraw" in page
    settings = {"business_name": "Amal's Bakery", "time_zone": "Asia/Riyadh", "grace_days": "0"}
    assert amal.post("/settings", data=settings | {"withdrawal_days": "31"}).status_code == 422
    assert amal.post("/settings", data=settings | {"withdrawal_days": ""}).status_code == 422
    assert amal.post("/settings", data=settings | {"withdrawal_days": "14"}).status_code == 303
    assert amal.post("/settings", data=settings).status_code == 303
    with app.app_context():
        kept, delivered = (people.a_plan(ids["amal"], description=text) for text in ("A lamp", "A rug"))
    assert f'href="/plans/{kept}/withdrawal"' in omar.get(f"/plans/{kept}").text
    assert "Void then" in omar.get(f"/plans/{kept}/withdrawal").text
    assert "Mark as delivered" in amal.get(f"/plans/{delivered}").text
    assert amal.post(f"/plans/{delivered}/delivery").status_code == 303
    assert "withdrawal" not in omar.get(f"/plans/{delivered}").text
    refused = omar.post(f"/plans/{delivered}/withdrawal", follow_redirects=True)
    assert "The time to withdraw from this plan is over." in refused.text
    assert "You withdrew from the plan" in omar.post(f"/plans/{kept}/withdrawal", follow_redirects=True).text
    with app.app_context():
        assert people.plan_of(kept).status == "cancelled"


def test_a_plan_that_counts_can_be_disputed_quietly(app, ids):
    with app.app_context():
        plan_id = people.a_plan(ids["amal"], description="A lamp")
    omar = browser_of(app, "omar")
    page = omar.get(f"/plans/{plan_id}").text
    assert "Not your purchase?" in page
    assert "Is this plan yours?" not in page
    assert "Yes, it is not mine" in page, "the confirmation is in a dialog of the same page"
    assert omar.post(f"/plans/{plan_id}/dispute").status_code == 303
    assert state(app, plan_id) == (True, False, True)
    with app.app_context():
        assert Dispute.of_plan(plan_id).outcome is None
