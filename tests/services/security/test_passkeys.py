"""Passkeys: challenges are used once and by one browser, and a passkey opens its own account alone."""

from dataclasses import replace

import pytest
import time_machine
from sqlalchemy import select

from portal.domain import clock
from portal.errors import Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Email, Passkey, PasskeyChallenge, User
from portal.services.maintenance import retention
from portal.services.operations import account_deactivations
from portal.services.privacy import erasures
from portal.services.security import passkeys, second_factors
from tests.fixtures import people
from tests.services.security.authenticator import Authenticator

pytestmark = pytest.mark.usefixtures("context")

BROWSER, OTHER = "a browser", "another browser"


def refusal(call, *args, **kwargs):
    with pytest.raises((Refused, Invalid, NotFound)) as refused:
        call(*args, **kwargs)
    return refused.value.code


def added(user_id, credential_id=b"credential-1", name="Phone"):
    device = Authenticator(credential_id)
    answer = device.create(passkeys.options("add", BROWSER, user_id))
    passkeys.add(user_id, BROWSER, answer, name=name)
    return device


def used(device, purpose="second", user_id=None, browser=BROWSER):
    return passkeys.use(purpose, browser, device.get(passkeys.options(purpose, browser, user_id)), user_id)


def test_a_passkey_is_added_and_signs_in_after_the_password_and_without_it(omar):
    device = added(omar)
    assert second_factors.is_on(omar) and second_factors.state(omar).codes_left == 10
    assert used(device, "second", omar) == used(device, "confirm", omar) == used(device, "sign_in") == omar
    (row,) = passkeys.of_user(omar)
    assert (row.name, row.sign_count) == ("Phone", 3) and row.last_used_at is not None
    assert db.session.scalars(select(Email.kind)).all()[-1] == "factor_added"


def test_a_passkey_of_another_account_is_refused(omar):
    sara = people.sara()
    added(omar)
    device = added(sara, b"credential-2")
    for purpose in ("second", "confirm"):
        assert refusal(used, device, purpose, omar) == "passkey_refused"
    assert used(device, "second", sara) == sara


def test_an_answer_works_once_in_its_browser_for_its_purpose_and_for_five_minutes(omar):
    device = added(omar)
    answer = device.get(passkeys.options("second", BROWSER, omar))
    assert refusal(passkeys.use, "second", OTHER, answer, omar) == "passkey_refused"
    assert refusal(passkeys.use, "confirm", BROWSER, answer, omar) == "passkey_refused"
    assert passkeys.use("second", BROWSER, answer, omar) == omar
    assert refusal(passkeys.use, "second", BROWSER, answer, omar) == "passkey_refused"
    late = device.get(passkeys.options("second", BROWSER, omar))
    with time_machine.travel(clock.now() + passkeys.LIFETIME):
        assert refusal(passkeys.use, "second", BROWSER, late, omar) == "passkey_refused"


def test_a_refused_answer_uses_the_challenge_up(omar):
    device = added(omar)
    options = passkeys.options("second", BROWSER, omar)
    assert refusal(passkeys.use, "second", BROWSER, "{}", omar) == "passkey_refused"
    assert refusal(passkeys.use, "second", BROWSER, device.get(options), omar) == "passkey_refused"


def test_a_copy_is_refused_by_its_counter(omar):
    device = added(omar)
    used(device, "second", omar)
    device.count = 0
    assert refusal(used, device, "second", omar) == "passkey_refused"


def test_without_finger_face_or_pin_a_passkey_does_not_replace_the_password(omar):
    device = added(omar)
    device.verifies = False
    assert refusal(used, device, "sign_in") == refusal(used, device, "confirm", omar) == "passkey_refused"
    assert used(device, "second", omar) == omar


@pytest.mark.parametrize("answer", ["", "no", "[]", "{}", "1", "[" * 5000, '{"rawId": "%%"}', "x" * 30_000])
def test_what_is_no_answer_is_refused(omar, answer):
    added(omar)
    passkeys.options("second", BROWSER, omar)
    assert refusal(passkeys.use, "second", BROWSER, answer, omar) == "passkey_refused"
    passkeys.options("add", BROWSER, omar)
    assert refusal(passkeys.add, omar, BROWSER, answer, name="Phone") == "passkey_refused"


def test_an_answer_of_another_site_is_refused(omar):
    device = added(omar)
    device.origin = "https://evil.example"
    assert refusal(used, device, "second", omar) == "passkey_refused"


def test_a_passkey_belongs_to_one_account_and_has_a_name(omar):
    device = added(omar)
    answer = device.create(passkeys.options("add", BROWSER, people.sara()))
    sara = db.session.scalar(select(User.id).where(User.has_username("sara")))
    assert refusal(passkeys.add, sara, BROWSER, answer, name="Phone") == "passkey_known"
    assert refusal(passkeys.add, omar, BROWSER, "{}", name=" ") == "required"


def test_an_account_has_at_most_ten(omar, monkeypatch):
    monkeypatch.setattr(passkeys, "MAX_PASSKEYS", 1)
    added(omar)
    assert refusal(added, omar, b"credential-2") == "too_many_passkeys"


def test_removing_the_last_factor_ends_the_recovery_codes(omar):
    sara = people.sara()
    added(omar)
    (row,) = passkeys.of_user(omar)
    passkey_id = row.id
    assert refusal(passkeys.remove, sara, passkey_id) == "not_found"
    passkeys.remove(omar, passkey_id)
    assert not second_factors.is_on(omar) and second_factors.state(omar).codes_left == 0


def test_a_deactivated_account_does_not_sign_in(omar):
    device = added(omar)
    account_deactivations.deactivate(omar, actor=None, reason="Stolen")
    assert refusal(used, device, "sign_in") == "passkey_refused"


@pytest.mark.parametrize(
    ("address", "party"),
    [
        ("https://pay.example.org", ("pay.example.org", "https://pay.example.org")),
        ("https://pay.example.org:8443", ("pay.example.org", "https://pay.example.org:8443")),
        ("http://127.0.0.1:8000", ("localhost", "http://localhost:8000")),
        ("http://192.0.2.7", None),
    ],
)
def test_the_relying_party_is_the_host_of_the_public_address(app, monkeypatch, address, party):
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], public_url=address))
    found = passkeys.relying_party()
    assert (found and (found.id, found.origin)) == party


def test_lapsed_challenges_are_deleted_and_an_erased_person_has_no_passkey(omar):
    added(omar)
    passkeys.options("second", BROWSER, omar)
    with time_machine.travel(clock.now() + passkeys.LIFETIME):
        retention.purge_expired()
        assert db.session.scalar(select(PasskeyChallenge.id)) is None
    erasures.erase(omar, password=people.PASSWORD)
    assert db.session.scalar(select(Passkey.id)) is None
