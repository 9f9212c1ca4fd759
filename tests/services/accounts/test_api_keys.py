"""API keys: creation, use and revocation."""

import hashlib
from datetime import timedelta

import pytest
import time_machine

from portal.domain import clock
from portal.errors import Forbidden, Invalid, NotFound
from portal.extensions import db
from portal.models import ApiKey, User
from portal.services.accounts import api_keys
from portal.services.accounts.tokens import BadToken
from tests.fixtures import people


def test_a_key_names_its_merchant_and_stores_a_digest_only(amal: int) -> None:
    token = api_keys.create(people.owner(amal), name="  Web shop ", can_write=True)
    key = api_keys.find(token)
    assert (key.merchant_id, key.name, key.can_write, key.state) == (amal, "Web shop", True, "active")
    prefix, secret = token.removeprefix("qist_").split(".")
    assert key.prefix == prefix and key.secret_hash == hashlib.sha256(secret.encode()).digest()


def test_a_changed_key_is_refused(amal: int) -> None:
    token = api_keys.create(people.owner(amal), name="Web shop", can_write=True)
    other = api_keys.create(people.owner(amal), name="Till", can_write=False)
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
        token = api_keys.create(people.owner(amal), name="Web shop", can_write=False)
        first = api_keys.find(token).last_used_at
        clock.shift(59)
        assert api_keys.find(token).last_used_at == first
        clock.shift(2)
        assert api_keys.find(token).last_used_at == first + timedelta(seconds=61) if first else False


def test_a_revoked_key_stays_revoked(amal: int) -> None:
    token = api_keys.create(people.owner(amal), name="Web shop", can_write=False)
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
    token = api_keys.create(people.owner(amal), name="Web shop", can_write=False)
    db.session.get_one(User, amal).deactivated_at = clock.now()
    db.session.commit()
    with pytest.raises(BadToken):
        api_keys.find(token)


def test_only_merchants_have_keys(amal: int) -> None:
    for other in (people.omar(), people.an_operator()):
        with pytest.raises(Forbidden):
            api_keys.create(people.actor_of(other), name="Mine", can_write=False)
    with pytest.raises(Invalid):
        api_keys.create(people.owner(amal), name="two\nlines", can_write=False)
