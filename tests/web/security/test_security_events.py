"""The pages of security events: the account's own, the business's and the operator's."""

from portal.domain.permissions import GIVEN_TO_KEYS
from portal.services.accounts import api_keys
from portal.services.operations import account_deactivations
from tests.fixtures import operations, people
from tests.web import browser_of, sign_in


def test_an_account_sees_its_sign_ins_with_address_and_browser(app, client):
    with app.app_context():
        omar = people.omar()
    sign_in(client, "omar", "not this one")
    client.post("/login", data={"login": "omar", "password": people.PASSWORD}, headers={"User-Agent": "curl/8.5"})
    text = client.get("/account/security-events").text
    assert "omar signed in." in text and "A sign-in to the account of omar failed." in text
    assert "127.0.0.1" in text and "curl/8.5" in text
    assert "/account/security-events" in client.get("/account").text
    with app.app_context():
        people.an_operator()
    seen = browser_of(app, "olga").get(f"/operator/accounts/{omar}").text
    assert "omar signed in." in seen and "curl/8.5" in seen


def test_an_account_does_not_see_the_address_of_an_operator(app, client):
    with app.app_context():
        omar = people.omar()
        people.an_operator()
    olga = app.test_client()
    olga.environ_base["REMOTE_ADDR"] = "198.51.100.9"
    sign_in(olga, "olga")
    assert olga.post(f"/operator/accounts/{omar}/deactivate", data={"reason": "Stolen"}).status_code == 303
    with app.app_context():
        account_deactivations.reactivate(omar, actor=operations.olga(), reason="Found")
    sign_in(client, "omar")
    text = client.get("/account/security-events").text
    assert "An operator deactivated the account of omar." in text and "198.51.100.9" not in text


def test_owners_see_who_made_a_key_and_others_do_not(app, client):
    with app.app_context():
        amal = people.amal()
        api_keys.create(people.owner(amal), name="Till", given=GIVEN_TO_KEYS)
        people.a_member("nour", amal, "manager")
    sign_in(client, "amal")
    text = client.get("/settings/security-events").text
    assert "amal made the API key qist_" in text and "signed in." not in text
    assert "/settings/security-events" in client.get("/settings").text
    nour = browser_of(app, "nour")
    nour.post("/account/hat", data={"merchant": amal})
    assert nour.get("/settings/security-events").status_code == 403


def test_the_list_has_pages(app, client):
    with app.app_context():
        people.omar()
    for _ in range(52):
        sign_in(client, "omar")
    text = client.get("/account/security-events").text
    assert text.count("omar signed in.") == text.count("omar signed out.") == 25
    assert "cursor=" in text
    assert client.get("/account/security-events?cursor=nonsense").status_code == 400
