"""Pages of a team: invite, change, remove, hand over; the link of an invitation; a person's own businesses."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.domain import permissions
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.extensions import db
from portal.models import ApiKey, Membership, TeamInvitation
from portal.services.accounts import api_keys, tokens
from portal.services.mail import delivery
from portal.services.team import invitations
from tests.fixtures import people
from tests.fixtures.mails import Catcher, sending, text_of
from tests.web import acts, browser_of

TEAM = "/settings/team"


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        amal = people.amal()
        ids = {"amal": amal, "sara": people.a_member("sara", amal, "collector"), "omar": people.omar()}
        db.session.remove()
    return ids


@pytest.fixture
def amal(app: Flask, ids: dict[str, int]) -> FlaskClient:
    return browser_of(app, "amal")


def words(response: TestResponse) -> str:
    """The page as one line of text, without blanks before a full stop or a comma."""
    return re.sub(r" ([.,])", r"\1", acts.words(response))


def after(client: FlaskClient, response: TestResponse) -> TestResponse:
    """The page after a redirect."""
    assert response.status_code == 303, words(response)
    return client.get(response.location)


def roles(app: Flask, merchant_id: int) -> dict[str, str]:
    """Role by username."""
    with app.app_context():
        query = select(Membership).where(Membership.merchant_id == merchant_id)
        return {str(row.user.username): row.role for row in db.session.scalars(query)}


def links(app: Flask) -> list[str]:
    """Send the waiting mails. Returns the paths of the invitations in them."""
    with app.app_context(), Catcher() as catcher, sending(app, catcher):
        delivery.drain()
        return re.findall(r"/team-invitations/[\w-]{43}", " ".join(text_of(mail) for mail in catcher.mails))


def test_the_page_lists_members_with_role_and_the_only_owner(amal: FlaskClient) -> None:
    page = words(amal.get(TEAM))
    assert "2 people work for this business here." in page
    assert "amal (you) amal@example.com Owner The only owner" in page
    assert "sara sara@example.com Collector" in page
    assert TEAM in amal.get("/settings").text


def test_an_invited_colleague_signs_in_and_joins(app: Flask, ids: dict[str, int], amal: FlaskClient) -> None:
    page = after(amal, amal.post(f"{TEAM}/invitations", data={"email": "omar@example.com", "role": "manager"}))
    assert "The invitation goes to omar@example.com by mail." in words(page)
    assert "omar@example.com Manager amal" in words(page)
    (link,) = links(app)
    visitor = app.test_client()
    invitation = visitor.get(link)
    assert "Amal's Bakery invites you to its team" in words(invitation)
    assert invitation.headers["Referrer-Policy"] == "no-referrer" and invitation.headers["Cache-Control"] == "no-store"
    assert visitor.post(link).status_code == 303 and roles(app, ids["amal"]).get("omar") is None
    signed_in = visitor.post("/login", data={"login": "omar", "password": people.PASSWORD, "next": link})
    assert signed_in.location == link
    assert "You accept as omar" in words(visitor.get(link))
    dashboard = after(visitor, visitor.post(link))
    assert "Welcome to the team." in words(dashboard) and "Amal's Bakery" in words(dashboard)
    assert roles(app, ids["amal"])["omar"] == "manager"
    again = visitor.get(link)
    assert again.status_code == 404 and "It may have been accepted already" in words(again)


def test_another_account_can_not_accept(app: Flask, ids: dict[str, int], amal: FlaskClient) -> None:
    amal.post(f"{TEAM}/invitations", data={"email": "new@example.com", "role": "owner"})
    (link,) = links(app)
    omar = browser_of(app, "omar")
    page = words(omar.get(link))
    assert "You are signed in as omar, whose email is another one." in page and "Join the team" not in page
    assert omar.post(link).status_code == 403
    assert roles(app, ids["amal"]) == {"amal": "owner", "sara": "collector"}


def test_a_new_colleague_registers_first_and_finds_the_invitation(
    app: Flask, ids: dict[str, int], amal: FlaskClient
) -> None:
    amal.post(f"{TEAM}/invitations", data={"email": "nour@example.com", "role": "viewer"})
    with app.app_context():
        people.a_customer("nour")
    nour = browser_of(app, "nour")
    page = nour.get("/account/businesses")
    assert "Amal's Bakery invites you to its team" in words(page)
    address = re.search(r"/account/invitations/\d+", page.text)
    assert address
    assert "Welcome to the team." in words(after(nour, nour.post(address[0])))
    assert nour.get("/dashboard").status_code == 200 and nour.get("/plans/new").status_code == 403


def test_a_revoked_and_a_repeated_invitation(app: Flask, amal: FlaskClient) -> None:
    amal.post(f"{TEAM}/invitations", data={"email": "nour@example.com", "role": "viewer"})
    (first,) = links(app)
    address = re.search(rf"({TEAM}/invitations/\d+)/send-again", amal.get(TEAM).text)
    assert address
    assert "A new invitation is on its way." in words(after(amal, amal.post(address[0])))
    (second,) = links(app)
    assert (amal.get(first).status_code, amal.get(second).status_code) == (404, 200)
    address = re.search(rf"{TEAM}/invitations/\d+/revoke", amal.get(TEAM).text)
    assert address
    assert "The invitation is revoked." in words(after(amal, amal.post(address[0])))
    assert amal.get(second).status_code == 404
    amal.post(f"{TEAM}/invitations", data={"email": "nour@example.com", "role": "viewer"})
    refused = amal.post(f"{TEAM}/invitations", data={"email": "nour@example.com", "role": "viewer"})
    assert refused.status_code == 409 and "This address had 3 invitations from you" in words(refused)


@pytest.mark.parametrize(
    ("email", "message"),
    [("", "Enter an email address."), ("nobody", "like name@example.com"), ("Sara@example.com", "in the team already")],
)
def test_a_bad_email_is_refused_beside_its_field(amal: FlaskClient, email: str, message: str) -> None:
    page = amal.post(f"{TEAM}/invitations", data={"email": email, "role": "viewer"})
    assert page.status_code == 422 and message in words(page)


def test_a_role_and_a_limit_are_changed(app: Flask, ids: dict[str, int], amal: FlaskClient) -> None:
    address = f"{TEAM}/{ids['sara']}"
    assert 'value="collector"' in amal.get(address).text
    wrong = amal.post(address, data={"role": "manager", "refund_limit": "3.001"})
    assert wrong.status_code == 422 and "SAR has at most 2 digits after the point." in words(wrong)
    page = after(amal, amal.post(address, data={"role": "manager", "refund_limit": "300"}))
    assert "Manager" in words(page) and "Up to SAR 300.00" in words(page)
    assert 'value="300.00"' in amal.get(address).text
    page = after(amal, amal.post(address, data={"role": "manager", "refund_limit": " "}))
    assert "No limit" in words(page)


def test_the_last_owner_is_told_why_they_stay(app: Flask, ids: dict[str, int], amal: FlaskClient) -> None:
    mine = f"{TEAM}/{ids['amal']}"
    for address, data in ((mine, {"role": "viewer"}), (f"{mine}/remove", {}),
                          (f"/account/businesses/{ids['amal']}/leave", {})):  # fmt: skip
        page = amal.post(address, data=data)
        assert page.status_code == 409
        assert "A business needs an owner. Make another member an owner first." in words(page)
    assert roles(app, ids["amal"])["amal"] == "owner"


def test_a_removed_member_is_signed_out_of_the_business_at_once(
    app: Flask, ids: dict[str, int], amal: FlaskClient
) -> None:
    with app.app_context():
        pair = tokens.start(ids["sara"], ids["amal"])
        amal_key = api_keys.create(people.owner(ids["amal"]), name="Shop", given=GIVEN_TO_KEYS)
    sara, api = browser_of(app, "sara"), app.test_client()
    sara.post("/account/hat", data={"merchant": ids["amal"]})
    assert sara.get("/dashboard").status_code == 200
    assert api.get("/api/plans/", headers={"Authorization": f"Bearer {pair.access}"}).status_code == 200
    assert "Every sign-in to this business ends at once" in words(amal.get(f"{TEAM}/{ids['sara']}/remove"))
    assert "The membership has ended" in words(after(amal, amal.post(f"{TEAM}/{ids['sara']}/remove")))
    assert sara.get("/dashboard").status_code == 403 and sara.get("/home").status_code == 200
    assert api.get("/api/plans/", headers={"Authorization": f"Bearer {pair.access}"}).status_code == 401
    assert api.get("/api/plans/", headers={"Authorization": f"Bearer {amal_key}"}).status_code == 200


def test_the_keys_of_a_former_member_are_shown_and_revoked(app: Flask, ids: dict[str, int], amal: FlaskClient) -> None:
    with app.app_context():
        nour = people.a_member("nour", ids["amal"], "owner")
        actor = permissions.member(nour, ids["amal"], "owner")
        for name in ("Till", "Web shop"):
            api_keys.create(actor, name=name, given=GIVEN_TO_KEYS)
    confirmation = words(amal.get(f"{TEAM}/{nour}/remove"))
    assert "They made 2 API keys, which go on without them" in confirmation and "Web shop" in confirmation
    page = after(amal, amal.post(f"{TEAM}/{nour}/remove"))
    assert words(page).count("nour No longer in the team") == 2
    address = re.search(r"/settings/api-keys/\d+/revoke", page.text)
    assert address
    back = amal.post(address[0], data={"back": "team"})
    assert back.location == TEAM
    assert words(amal.get(TEAM)).count("nour No longer in the team") == 1
    with app.app_context():
        assert len(db.session.scalars(select(ApiKey).where(ApiKey.revoked_at.is_not(None))).all()) == 1


def test_a_business_is_handed_over(app: Flask, ids: dict[str, int], amal: FlaskClient) -> None:
    address = f"{TEAM}/{ids['sara']}/hand-over"
    assert "sara becomes an owner of Amal's Bakery." in words(amal.get(address))
    assert "You are a manager now." in words(after(amal, amal.post(address)))
    assert roles(app, ids["amal"]) == {"amal": "manager", "sara": "owner"}
    assert amal.get(TEAM).status_code == 403
    assert amal.get(f"{TEAM}/{ids['amal']}/hand-over").status_code == 403


def test_an_owner_does_not_hand_over_to_themselves(ids: dict[str, int], amal: FlaskClient) -> None:
    assert amal.get(f"{TEAM}/{ids['amal']}/hand-over").status_code == 404


def test_a_member_leaves(app: Flask, ids: dict[str, int]) -> None:
    sara = browser_of(app, "sara")
    page = words(sara.get("/account/businesses"))
    assert "Amal's Bakery Collector" in page
    assert "You can no longer see or do anything for Amal's Bakery." in words(
        sara.get(f"/account/businesses/{ids['amal']}/leave")
    )
    left = after(sara, sara.post(f"/account/businesses/{ids['amal']}/leave"))
    assert "You have left Amal's Bakery." in words(left) and "No business yet" in words(left)
    assert roles(app, ids["amal"]) == {"amal": "owner"}


def test_an_invitation_of_a_debtor_as_an_owner_says_why_not(app: Flask, ids: dict[str, int], amal: FlaskClient) -> None:
    with app.app_context():
        people.a_plan(ids["amal"])
        invitations.invite(people.owner(ids["amal"]), email="omar@example.com", role="owner")
        invitation_id = db.session.scalars(select(TeamInvitation.id)).one()
    (link,) = links(app)
    omar = browser_of(app, "omar")
    refused = omar.post(link)
    why = "An owner can't be a customer of the same business, and you have an open plan there."
    assert refused.status_code == 409 and why in words(refused)
    assert why in words(after(omar, omar.post(f"/account/invitations/{invitation_id}")))
