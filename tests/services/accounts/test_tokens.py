"""Tokens of the API: validity, rotation and end."""

import base64
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine
from flask import Flask

from portal.domain import clock
from portal.extensions import db
from portal.models import RefreshToken, TokenFamily, User
from portal.services.accounts import accounts, tokens
from portal.services.accounts.merchant_settings import Settings
from portal.services.accounts.tokens import BadToken, Pair
from tests.fixtures import people
from tests.fixtures.query_log import round_trips

NOON = "2026-11-23T12:00:00Z"


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def works(pair: Pair) -> bool:
    try:
        tokens.find(pair.access)
    except BadToken:
        return False
    return True


def signed(changed: dict[str, Any], *, key: bytes | str | None = None, algorithm: str = "HS256", **headers: Any) -> str:
    """An access token with these claims (None: without that claim)."""
    claims = {name: value for name, value in changed.items() if value is not None}
    return jwt.encode(claims, tokens._keys()[0] if key is None else key, algorithm=algorithm, headers=headers)


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_an_access_token_names_its_user(omar: int) -> None:
    pair = tokens.start(omar)
    assert tokens.find(pair.access).user.id == omar
    assert claims_of(pair.access).keys() == set(tokens.CLAIMS)


def test_an_access_token_lasts_15_minutes(omar: int, noon: time_machine.Traveller) -> None:
    pair = tokens.start(omar)
    noon.shift(timedelta(minutes=15))
    assert works(pair)
    noon.shift(tokens.LEEWAY + timedelta(seconds=1))
    assert not works(pair)


def test_refreshing_returns_the_next_pair_of_the_family(omar: int) -> None:
    first = tokens.start(omar)
    second = tokens.refresh(first.refresh)
    third = tokens.refresh(second.refresh)
    assert works(first) and works(second) and works(third)
    assert len({first.refresh, second.refresh, third.refresh}) == 3


def test_reuse_within_the_grace_returns_the_same_refresh_token(omar: int, noon: time_machine.Traveller) -> None:
    first = tokens.start(omar)
    second = tokens.refresh(first.refresh)
    noon.shift(60)
    again = tokens.refresh(first.refresh)
    assert works(again) and again.refresh == second.refresh != first.refresh
    assert db.session.scalar(db.select(db.func.count(RefreshToken.id))) == 2


def test_two_holders_of_a_token_never_both_live_on(omar: int, noon: time_machine.Traveller) -> None:
    """A copy that is used in the grace joins the branch of the owner, and its next late use ends both."""
    first = tokens.start(omar)
    owner = tokens.refresh(first.refresh)
    thief = tokens.refresh(first.refresh)
    noon.shift(600)
    owner = tokens.refresh(owner.refresh)
    noon.shift(600)
    with pytest.raises(BadToken):
        tokens.refresh(thief.refresh)
    assert not works(owner)
    with pytest.raises(BadToken):
        tokens.refresh(owner.refresh)


def test_simultaneous_exchanges_return_the_same_refresh_token(app: Flask, omar: int) -> None:
    first = tokens.start(omar).refresh
    db.session.remove()

    def exchange(_: int) -> str:
        with app.app_context():
            return tokens.refresh(first).refresh

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(exchange, range(4)))) == 1


def test_a_sign_in_ends_after_ninety_days(omar: int, noon: time_machine.Traveller) -> None:
    pair = tokens.start(omar)
    for _ in range(4):
        noon.shift(timedelta(days=20))
        pair = tokens.refresh(pair.refresh)
    noon.shift(timedelta(days=9, hours=23))
    assert works(tokens.refresh(pair.refresh))
    noon.shift(timedelta(hours=2))
    with pytest.raises(BadToken):
        tokens.refresh(pair.refresh)


def test_a_revoked_sign_in_ends_with_all_its_tokens_and_no_other(omar: int) -> None:
    other, pair = tokens.start(omar), tokens.start(omar)
    again = tokens.refresh(pair.refresh)
    for token in ("x", other.access, pair.access):
        tokens.revoke(token)
    assert works(pair) and works(other)
    tokens.revoke(again.refresh)
    tokens.revoke(again.refresh)
    assert not works(pair) and not works(again) and works(other)
    with pytest.raises(BadToken):
        tokens.refresh(again.refresh)


def test_reuse_after_the_grace_ends_the_whole_family(omar: int, noon: time_machine.Traveller) -> None:
    other = tokens.start(omar)
    first = tokens.start(omar)
    second = tokens.refresh(first.refresh)
    noon.shift(61)
    with pytest.raises(BadToken):
        tokens.refresh(first.refresh)
    assert not works(second)
    with pytest.raises(BadToken):
        tokens.refresh(second.refresh)
    assert works(other)


def test_without_rotation_the_refresh_token_stays_the_same(
    app: Flask, omar: int, noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "QIST", dataclasses.replace(app.config["QIST"], refresh_rotation=False))
    first = tokens.start(omar)
    for _ in range(3):
        noon.shift(600)
        again = tokens.refresh(first.refresh)
        assert again.refresh == first.refresh and works(again)


def test_a_refresh_token_lapses(omar: int, noon: time_machine.Traveller) -> None:
    pair = tokens.start(omar)
    noon.shift(tokens.LIFETIME + timedelta(minutes=1))
    with pytest.raises(BadToken):
        tokens.refresh(pair.refresh)
    assert tokens.purge() == 1
    assert db.session.scalars(db.select(RefreshToken)).all() == []


def test_a_new_password_ends_every_token(omar: int) -> None:
    pair = tokens.start(omar)
    accounts.change_password(omar, current=people.PASSWORD, new="eight green boats", keep_session_id=None)
    assert not works(pair)
    with pytest.raises(BadToken):
        tokens.refresh(pair.refresh)


def test_tokens_of_a_deactivated_user_end(omar: int) -> None:
    pair = tokens.start(omar)
    db.session.get_one(User, omar).deactivated_at = clock.now()
    db.session.commit()
    assert not works(pair)
    with pytest.raises(BadToken):
        tokens.refresh(pair.refresh)


def test_only_digests_are_stored(omar: int) -> None:
    pair = tokens.start(omar)
    row = db.session.scalars(db.select(RefreshToken)).one()
    assert row.token_hash == hashlib.sha256(claims_of(pair.refresh)["jti"].encode()).digest()


def test_cookies_and_tokens_are_signed_with_different_keys(app: Flask, omar: int) -> None:
    secret = app.config["QIST"].secret_key
    assert tokens._keys()[0] != secret.encode() and len(tokens._keys()[0]) == 32
    token = signed(claims_of(tokens.start(omar).access), key=secret)
    with pytest.raises(BadToken):
        tokens.find(token)


def forged(pair: Pair) -> dict[str, str]:
    """Strings that look like tokens and are invalid."""
    good = claims_of(pair.access)
    head, body, signature = pair.access.split(".")
    nothing = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    changed = json.dumps({**good, "sub": str(int(good["sub"]) + 1)}).encode()
    invalid = {
        "no algorithm": f"{nothing}.{body}.",
        "no algorithm, with a signature": f"{nothing}.{body}.{signature}",
        "another algorithm": signed(good, key=tokens._keys()[0] * 2, algorithm="HS512"),
        "another key": signed(good, key="x" * 32),
        "an empty key": signed(good, key=b"\x00" * 32),
        "a changed body": f"{head}.{base64.urlsafe_b64encode(changed).decode().rstrip('=')}.{signature}",
        "another audience": signed({**good, "aud": "someone-else"}),
        "several audiences": signed({**good, "aud": [tokens.AUDIENCE, "someone-else"]}),
        "another issuer": signed({**good, "iss": "someone-else"}),
        "another type": signed({**good, "typ": "refresh"}),
        "a refresh token": pair.refresh,
        "expired": signed({**good, "exp": good["iat"] - 60}),
        "from the future": signed({**good, "iat": good["iat"] + 3600}),
        "another user": signed({**good, "sub": str(int(good["sub"]) + 1)}),
        "no such family": signed({**good, "fam": "999999"}),
        "a huge id": signed({**good, "sub": "9" * 30}),
        "digits of another script": signed({**good, "sub": "١"}),
        "a number for a user": signed({**good, "sub": int(good["sub"])}),
        "truncated": pair.access[:-5],
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "10 KB": pair.access + "A" * 10_000,
        "10 KB of claims": signed({**good, "more": "A" * 10_000}),
        "a key by reference": signed(good, key="x" * 32, jku="https://evil.example/keys", kid="../../dev/null"),
        "nothing": "x",
        "dots": "..",
        "text": "é.è.ê",
    }
    return invalid | {f"no {claim}": signed({**good, claim: None}) for claim in tokens.CLAIMS}


def test_forged_and_malformed_tokens_are_refused(omar: int) -> None:
    pair = tokens.start(omar)
    for name, token in forged(pair).items():
        for read in (tokens.find, tokens.refresh):
            if name == "a refresh token" and read is tokens.refresh:
                continue
            with pytest.raises(BadToken):
                read(token)
    assert works(pair)
    assert db.session.scalars(db.select(TokenFamily.ended_at)).all() == [None]


def rename(amal: int) -> None:
    settings = Settings("Amal's Patisserie", "Asia/Riyadh", 2, "SAR")
    accounts.update_merchant(people.actor_of(amal), settings)


def test_the_business_of_a_sign_in_is_not_read_again_until_something_was_written(app: Flask, amal: int) -> None:
    pair = tokens.start(amal)
    db.session.rollback()
    with round_trips(app) as trips:
        sign_in = tokens.find(pair.access)
        business = tokens.business(amal)
        assert (business.id, business.home_currency, business.standing) == (amal, "SAR", sign_in.standing)
        assert tokens.business(amal) is business
        assert len(trips.statements) == 1
    rename(amal)
    assert (tokens.business(amal).business_name, tokens.business(amal).grace_days) == ("Amal's Patisserie", 2)


def test_a_business_is_read_again_if_a_unit_of_work_ran_after_the_sign_in(amal: int) -> None:
    tokens.find(tokens.start(amal).access)
    rename(amal)
    assert tokens.business(amal).business_name == "Amal's Patisserie"
