"""The pages that prove an email: by the code in the browser that asked, or by the mailed link anywhere."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from portal.extensions import db
from portal.models import KeptForm, User, UserSession
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people
from tests.fixtures.people import PASSWORD
from tests.fixtures.proofs import Mailed, confirming, mailed
from tests.web import browser_of, sign_in

NADIA = {"role": "customer", "username": "nadia", "email": "nadia@example.com", "password": PASSWORD}
SHOP = {
    "role": "merchant",
    "business_name": "Shop",
    "home_currency": "SAR",
    "time_zone": "Asia/Riyadh",
    "username": "shop",
    "email": "shop@example.com",
    "password": PASSWORD,
}
PROOF = "/account/email/proof"


@pytest.fixture
def confirmed(app: Flask) -> Iterator[None]:
    """EMAIL_CONFIRMATION=required."""
    with confirming(app):
        yield


def mail_to(app: Flask, email: str) -> Mailed:
    with app.app_context():
        return mailed(email)


def test_a_registration_leads_to_the_code_and_the_code_to_the_start_page(
    app: Flask, client: FlaskClient, confirmed: None
) -> None:
    response = client.post("/register", data=SHOP)
    assert (response.status_code, response.location) == (303, PROOF)
    page = client.get(PROOF)
    assert "<bdi>shop@example.com</bdi>" in page.text and "Dashboard" not in page.text
    assert client.get("/").status_code == 200
    assert client.get("/login").location == PROOF
    code = mail_to(app, "shop@example.com").code
    proven = client.post(PROOF, data={"code": f" {code[:3]} {code[3:]} "})
    assert proven.location == "/dashboard"
    dashboard = client.get("/dashboard")
    assert dashboard.status_code == 200 and "Your email is proven" in dashboard.text


@pytest.mark.parametrize("path", ["/home", "/plans", "/settings", "/account/password", "/account/email", "/operator"])
def test_every_other_page_says_what_to_do_first(client: FlaskClient, confirmed: None, path: str) -> None:
    client.post("/register", data=NADIA)
    page = client.get(path)
    assert page.status_code == 403
    assert "Prove your email first" in page.text and f'href="{PROOF}"' in page.text


def test_a_form_that_a_stranger_left_in_an_ended_session_keeps_nobody_from_the_email(
    app: Flask, client: FlaskClient, confirmed: None
) -> None:
    stranger = app.test_client()
    stranger.post("/register", data=NADIA | {"username": "squatter"})
    with app.app_context():
        db.session.execute(update(UserSession).values(ended_at=UserSession.last_used_at))
        db.session.commit()
    sent = stranger.post(PROOF, data={"code": "000000"}, headers={"Referer": f"http://localhost{PROOF}"})
    assert "/login" in sent.location
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(KeptForm)) == 1
    client.post("/register", data=NADIA)
    code = mail_to(app, "nadia@example.com").code
    assert client.post(PROOF, data={"code": code}).location == "/home"


def test_known_and_unknown_emails_see_the_same_pages(app: Flask, confirmed: None) -> None:
    with app.app_context():
        people.an_operator()
    answers = []
    for name, email in (("one", "OLGA@example.com"), ("two", "nobody@example.com")):
        client = app.test_client()
        response = client.post("/register", data=NADIA | {"username": name, "email": email})
        page = client.get(response.location)
        wrong = client.post(PROOF, data={"code": "000000"})
        texts = [re.sub(r'name="csrf_token" value="[^"]*"', "", each.text) for each in (page, wrong)]
        answers.append((response.status_code, response.location, [text.replace(email, "EMAIL") for text in texts]))
    assert answers[0] == answers[1]


def test_a_wrong_code_says_how_many_tries_are_left_and_the_fifth_ends_it(
    app: Flask, client: FlaskClient, confirmed: None
) -> None:
    client.post("/register", data=NADIA)
    right = mail_to(app, "nadia@example.com").code
    wrong = f"{(int(right) + 1) % 10**6:06}"
    page = client.post(PROOF, data={"code": wrong})
    assert page.status_code == 422 and "You have 4 tries left." in page.text
    assert client.post(PROOF, data={"code": ""}).status_code == 422
    for _ in range(4):
        page = client.post(PROOF, data={"code": wrong})
    assert page.status_code == 409 and "Ask for a new mail." in page.text
    assert client.post(PROOF, data={"code": right}).status_code == 409
    assert client.post("/account/email/proofs").location == PROOF
    assert client.post(PROOF, data={"code": mail_to(app, "nadia@example.com").code}).location == "/home"


def test_another_browser_asks_for_a_mail_of_its_own(app: Flask, client: FlaskClient, confirmed: None) -> None:
    client.post("/register", data=NADIA)
    code = mail_to(app, "nadia@example.com").code
    other = browser_of(app, "nadia")
    refused = other.post(PROOF, data={"code": code})
    assert refused.status_code == 409 and "in another browser" in refused.text
    assert client.post(PROOF, data={"code": code}).location == "/home"
    assert other.get("/home").location == "/login?next=/home"


def test_the_sixth_mail_in_an_hour_is_refused_in_words(client: FlaskClient, confirmed: None) -> None:
    client.post("/register", data=NADIA)
    assert [client.post("/account/email/proofs").status_code for _ in range(5)] == [303] * 4 + [429]
    page = client.post("/account/email/proofs")
    assert "5 mails went to this address" in page.text


def test_a_typo_in_the_email_is_corrected(app: Flask, client: FlaskClient, confirmed: None) -> None:
    client.post("/register", data=NADIA | {"email": "nadai@example.com"})
    wrong = client.post("/account/registration", data={"email": "nadia@"})
    assert wrong.status_code == 422 and "Enter an email address like name@example.com." in wrong.text
    assert client.post("/account/registration", data={"email": "nadia@example.com"}).location == PROOF
    assert "nadia@example.com" in client.get(PROOF).text
    assert client.post(PROOF, data={"code": mail_to(app, "nadia@example.com").code}).location == "/home"


def test_without_confirmation_a_corrected_email_counts_at_once(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        people.a_plan(people.amal(), "nadia@example.com")
    client.post("/register", data=NADIA)
    taken = client.post("/account/registration", data={"email": "amal@example.com"})
    assert taken.status_code == 422 and "There is an account with this email already." in taken.text
    assert client.post("/account/registration", data={"email": "other@example.com"}).location == "/home"


def test_a_registration_is_removed_after_a_question(app: Flask, client: FlaskClient, confirmed: None) -> None:
    client.post("/register", data=SHOP)
    assert "Remove this registration?" in client.get(f"{PROOF}?leave=1").text
    assert client.post("/account/registration/leave").location == "/register"
    assert client.get("/register").status_code == 200
    with app.app_context():
        assert db.session.scalar(db.select(db.func.count(User.id))) == 0
    assert client.post("/register", data=SHOP).location == PROOF


def test_it_signs_out_and_in_again(app: Flask, client: FlaskClient, confirmed: None) -> None:
    client.post("/register", data=NADIA)
    client.post("/logout")
    assert sign_in(client, "nadia", next="/plans").location == PROOF
    client.post("/logout")
    assert sign_in(client, "nadia@example.com").location == PROOF


class TestLink:
    def test_in_the_browser_that_asked_one_press_is_enough(
        self, app: Flask, client: FlaskClient, confirmed: None
    ) -> None:
        client.post("/register", data=NADIA)
        path = f"/email-proofs/{mail_to(app, 'nadia@example.com').token}"
        page = client.get(path)
        assert page.status_code == 200 and "another browser" not in page.text
        assert page.headers["Referrer-Policy"] == "no-referrer" and page.headers["Cache-Control"] == "no-store"
        assert client.get("/home").status_code == 403, "opening the link proves nothing"
        assert client.post(path).location == "/home"

    def test_elsewhere_it_shows_the_request_and_takes_the_password(
        self, app: Flask, client: FlaskClient, confirmed: None
    ) -> None:
        client.post("/register", data=NADIA)
        path, phone = f"/email-proofs/{mail_to(app, 'nadia@example.com').token}", app.test_client()
        page = phone.get(path)
        for words in ("nadia@example.com", "<bdi>nadia</bdi>", "127.0.0.1", "UTC", "another browser"):
            assert words in page.text
        wrong = phone.post(path, data={"password": "nine purple kites"})
        assert wrong.status_code == 422 and "This is not the password that was chosen." in wrong.text
        assert phone.post(path).status_code == 422
        assert phone.post(path, data={"password": PASSWORD}).location == "/home"
        assert phone.get("/home").status_code == 200
        assert client.get("/home").status_code == 303

    def test_a_victim_chooses_a_password_and_the_attacker_has_nothing(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            amal = people.amal()
            opened = plans.open_plan(people.owner(amal), NewPlan("victim@example.com", 60_00, 2, people.today_of(amal)))
            token = people.token_of(opened.plan_id)
        attacker = app.test_client()
        attacker.post(
            f"/invitations/{token}",
            data={"username": "attacker", "password": "nine purple kites"},
        )
        assert attacker.get(f"/plans/{opened.plan_id}").status_code == 403
        path = f"/email-proofs/{mail_to(app, 'victim@example.com').token}"
        assert client.post(path, data={"new_password": "short"}).status_code == 422
        assert client.post(path, data={"new_password": "eleven red kites"}).location == "/home"
        assert client.get(f"/plans/{opened.plan_id}").status_code == 200
        assert attacker.get(f"/plans/{opened.plan_id}").status_code == 303
        assert sign_in(attacker, "attacker", "nine purple kites").status_code == 401

    @pytest.mark.parametrize("token", ["x", "%00", "%ff"])
    def test_a_link_that_does_not_work_says_what_to_do(self, client: FlaskClient, token: str) -> None:
        for response in (client.get(f"/email-proofs/{token}"), client.post(f"/email-proofs/{token}", data={"x": "y"})):
            assert response.status_code == 404
            assert "This link can&#39;t be used" in response.text and "ask for a new mail" in response.text

    def test_a_used_link_does_not_work_again(self, app: Flask, client: FlaskClient, confirmed: None) -> None:
        client.post("/register", data=NADIA)
        path = f"/email-proofs/{mail_to(app, 'nadia@example.com').token}"
        client.post(path)
        assert client.post(path).status_code == client.get(path).status_code == 404


def test_a_forgotten_password_of_a_registration_is_replaced_by_its_proof(
    app: Flask, client: FlaskClient, confirmed: None
) -> None:
    app.test_client().post("/register", data=NADIA)
    client.post("/password-resets", data={"login": "nadia"})
    path = f"/email-proofs/{mail_to(app, 'nadia@example.com').token}"
    assert client.post(path, data={"new_password": "eleven red kites"}).location == "/home"


def test_the_start_page_of_an_account_without_a_proof_to_give_is_its_own(app: Flask, database: str) -> None:
    with app.app_context():
        people.omar()
    assert browser_of(app, "omar").get(PROOF).location == "/home"
