"""API keys: creation, use and revocation."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from portal.domain import clock, permissions
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.errors import Forbidden, Invalid, NotFound
from portal.extensions import db
from portal.models import ApiKey, Email, User
from portal.services.accounts import accounts, api_keys, password_resets
from portal.services.accounts.tokens import BadToken
from portal.services.mail import delivery
from tests.fixtures import people
from tests.fixtures.query_log import round_trips


def test_a_key_names_its_merchant_and_stores_a_digest_only(amal: int) -> None:
    token = api_keys.create(people.owner(amal), name="  Web shop ", given=GIVEN_TO_KEYS)
    key = api_keys.find(token)
    assert (key.merchant_id, key.name, key.permissions, key.state) == (
        amal,
        "Web shop",
        sorted(GIVEN_TO_KEYS),
        "active",
    )
    prefix, secret = token.removeprefix("qist_").split(".")
    assert key.prefix == prefix and key.secret_hash == hashlib.sha256(secret.encode()).digest()


def test_a_changed_key_is_refused(amal: int) -> None:
    token = api_keys.create(people.owner(amal), name="Web shop", given=GIVEN_TO_KEYS)
    other = api_keys.create(people.owner(amal), name="Till")
    prefix, _, secret = token.partition(".")
    wrong = "A" if secret[-1] != "A" else "B"
    mixed = f"{other.partition('.')[0]}.{secret}"
    for bad in (
        token[:-1],
        f"{prefix}.{secret[:-1]}{wrong}",
        mixed,
        f"{prefix}.",
        prefix,
        "qist_",
        token + "=",
        f" {token}",
    ):
        with pytest.raises(BadToken):
            api_keys.find(bad)


def test_last_used_at_is_updated_at_most_once_a_minute(amal: int) -> None:
    with time_machine.travel("2026-11-23T12:00:00Z", tick=False) as clock:
        token = api_keys.create(people.owner(amal), name="Web shop")
        key_id = api_keys.find(token).id

        def used() -> datetime | None:
            if api_keys.is_use_due(api_keys.find(token)):
                api_keys.note_use(key_id, "192.0.2.7")
            return api_keys.find(token).last_used_at

        assert (first := used()) == datetime(2026, 11, 23, 12, tzinfo=UTC)
        clock.shift(59)
        assert used() == first
        api_keys.note_use(key_id, "192.0.2.7")  # another process's note changes nothing within the minute either
        assert used() == first
        clock.shift(2)
        assert used() == first + timedelta(seconds=61)


def test_a_revoked_key_stays_revoked(amal: int) -> None:
    token = api_keys.create(people.owner(amal), name="Web shop")
    key_id = api_keys.find(token).id
    with pytest.raises(NotFound):
        api_keys.revoke(key_id, actor=people.owner(people.badr()))
    api_keys.revoke(key_id, actor=people.owner(amal))
    first = db.session.get_one(ApiKey, key_id).revoked_at
    api_keys.revoke(key_id, actor=people.owner(amal))
    assert db.session.get_one(ApiKey, key_id).revoked_at == first
    with pytest.raises(BadToken):
        api_keys.find(token)


def test_a_deactivated_merchants_keys_end(amal: int) -> None:
    token = api_keys.create(people.owner(amal), name="Web shop")
    db.session.get_one(User, amal).deactivated_at = clock.now()
    db.session.commit()
    with pytest.raises(BadToken):
        api_keys.find(token)


def test_only_merchants_have_keys(amal: int) -> None:
    for other in (people.omar(), people.an_operator()):
        with pytest.raises(Forbidden):
            api_keys.create(people.actor_of(other), name="Mine")
    with pytest.raises(Invalid):
        api_keys.create(people.owner(amal), name="two\nlines")


def test_a_key_may_do_what_was_given_to_it_and_no_more(amal):
    owner = people.owner(amal)
    key = api_keys.find(api_keys.create(owner, name="Till", given=["remind"]))
    assert api_keys.actor_of(key).permissions == {"view", "export", "remind"}
    with pytest.raises(Invalid) as refused:
        api_keys.create(owner, name="Till", given=["team"])
    assert refused.value.code == "unknown_permission"
    with pytest.raises(Invalid) as refused:
        api_keys.create(owner, name="Till", given=["remind"], refund_limit=5)
    assert refused.value.code == "reads_only"


def test_every_owner_is_told_of_a_new_key_and_a_revoked_one_is_not_told(amal):
    people.a_member("nour", amal, "owner")
    people.a_member("huda", amal, "manager")
    token = api_keys.create(people.owner(amal), name="Till")
    assert {row.to_user_id for row in key_mails()} == {amal, user_id("nour")}
    delivery.drain()
    for row in key_mails():
        assert "made the API key \u201cTill\u201d" in row.body and token.partition(".")[2] not in row.body
        assert row.state == "kept"


def test_the_last_use_of_a_key_has_its_address_and_is_noted_behind_the_answer(app, amal):
    token = api_keys.create(people.owner(amal), name="Till")
    key_id = api_keys.find(token).id
    headers = {"Authorization": f"Bearer {token}"}
    address = {"REMOTE_ADDR": "192.0.2.7"}
    with round_trips(app) as before_the_end:
        answer = app.test_client().get("/api/auth/me/", headers=headers, environ_overrides=address)
        assert answer.status_code == 200
    with round_trips(app) as afterwards:
        answer.close()  # as a server does after the last byte
    db.session.rollback()
    assert len(before_the_end.statements) == 1, before_the_end.statements
    assert any("UPDATE api_keys" in statement for statement in afterwards.statements)
    assert db.session.get_one(ApiKey, key_id).last_used_from == "192.0.2.7"


@pytest.mark.parametrize("revoke", [False, True])
def test_a_new_password_revokes_the_keys_of_its_account_if_asked(amal, revoke):
    nour = people.a_member("nour", amal, "owner")
    mine = api_keys.create(people.owner(amal), name="Till")
    theirs = api_keys.create(permissions.member(nour, amal, "owner"), name="Shop")
    assert api_keys.count_of(amal) == 1
    accounts.change_password(
        amal, current=people.PASSWORD, new="eleven red kites", keep_session_id=None, revoke_keys=revoke
    )
    assert api_keys.count_of(amal) == (0 if revoke else 1)
    if not revoke:
        password_resets.use(password_resets.make(amal), new="nine purple kites", revoke_keys=True)
    with pytest.raises(BadToken):
        api_keys.find(mine)
    assert api_keys.find(theirs)


def key_mails():
    """The mails about new keys, read again."""
    db.session.rollback()
    return db.session.scalars(db.select(Email).where(Email.kind == "api_key_made")).all()


def user_id(name):
    return db.session.scalars(db.select(User.id).where(User.has_username(name))).one()
