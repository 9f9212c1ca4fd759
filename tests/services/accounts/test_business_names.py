"""Changes of a business's name: operators keep the name that they looked at in view."""

from datetime import timedelta

import pytest
import time_machine

from portal.domain import clock
from portal.errors import Invalid
from portal.services.accounts import accounts, merchant_settings
from portal.services.accounts.merchant_settings import Settings
from portal.services.books import letterheads
from portal.services.mail import delivery
from portal.services.privacy import erasures
from tests.fixtures import operations, people
from tests.fixtures.mails import html_of, text_of

pytestmark = pytest.mark.usefixtures("context")

KEPT = {"time_zone": "Asia/Riyadh", "grace_days": 0, "home_currency": "SAR"}


@pytest.fixture
def amal():
    return people.amal()


@pytest.fixture
def olga(amal):
    return operations.olga()


def rename(merchant_id, name):
    accounts.update_merchant(people.owner(merchant_id), Settings(business_name=name, **KEPT))


def told(catcher):
    """Mails to operators: recipient and text of each mail."""
    delivery.drain()
    return [(mail["To"], text_of(mail)) for mail in catcher.mails]


@pytest.mark.parametrize("name", ["Badr's Books", "BADR'S  B\u043e\u043eks", "Badrs Books"])
@pytest.mark.parametrize("mode", ["open", "approval"])
def test_operators_are_told_of_a_name_that_reads_like_another(app, amal, olga, catcher, mode, name):
    people.a_merchant("badr", business_name="Badr's Books")
    with operations.registration(app, mode):
        rename(amal, name)
        ((address, words),) = told(catcher)
    assert address == "olga@example.com"
    assert "amal changed the name of" in words and "which was Amal's Bakery." in words
    assert "Its name reads like that of another business." in words
    assert "Its name reads like that of another business." in html_of(catcher.mails[0])
    assert f"/operator/merchants/{amal}" in words


def test_operators_are_told_of_another_name_than_the_one_that_they_approved(app, amal, olga, catcher):
    with operations.registration(app, "approval"):
        rename(amal, "Amal's Cakes")
    ((_address, words),) = told(catcher)
    assert "which was Amal's Bakery." in words and "reads like" not in words


def test_where_nobody_approves_a_name_of_its_own_is_kept_and_not_mailed(app, amal, olga, catcher):
    rename(amal, "Amal's Cakes")
    rename(amal, "Amal's Cakes")
    assert told(catcher) == []
    assert operations.acts() == [("merchant_renamed", amal, None)], "the same name again is no change"


def test_the_letterheads_page_changes_the_name_no_other_way(app, amal, olga, catcher):
    people.a_merchant("badr", business_name="Badr's Books")
    actor = people.owner(amal)
    letterheads.change_merchant(actor, Settings(business_name="Badr's Books", **KEPT), letterheads.Words())
    assert len(told(catcher)) == 1


def test_a_name_changes_five_times_a_day(app, amal, olga, catcher):
    people.a_merchant("badr", business_name="Badr's Books")
    for number in range(merchant_settings.MAX_RENAMES):
        rename(amal, f"Amal {number}")
    with pytest.raises(Invalid) as refused:
        rename(amal, "Badr's Books")
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [("business_name", "renamed_often")]
    rename(amal, "Amal 4")
    assert told(catcher) == []
    with time_machine.travel(clock.now() + timedelta(days=1, minutes=1)):
        rename(amal, "Badr's Books")
        assert len(told(catcher)) == 1


def test_the_erasure_of_an_owner_erases_the_former_name(app, amal, olga):
    rename(amal, "Amal's Cakes")
    people.a_member("nour", amal, "owner")
    erasures.erase(amal, password=people.PASSWORD)
    assert operations.details() == [None]
