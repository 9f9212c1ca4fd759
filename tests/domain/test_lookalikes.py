"""Names that read alike have one skeleton."""

import pytest

from portal.domain.lookalikes import reads_like_staff, skeleton


@pytest.mark.parametrize(
    "name",
    [
        "AMALS BAKERY", "amal's  bakery", "Аmаl’s Bаkеry", "Αmal's Bakery", "Ａｍａｌ＇ｓ Bakery", "Ámál's Bakery",
        "Ama1's Bakery", "AmaI's Bakery", "Amal’s-Bakery.",
    ],
)  # fmt: skip
def test_names_that_read_alike(name: str) -> None:
    assert skeleton(name) == skeleton("Amal's Bakery")


@pytest.mark.parametrize(("one", "other"), [("Modern", "Modem"), ("Vvest", "West"), ("B00K", "book"), ("قسط", "قِسط")])
def test_other_pairs_that_read_alike(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Amal", "Omar"), ("قسط", "أقساط"), ("李", "王"), ("Shop 2", "Shop 3"), ("***", "+++")]
)
def test_names_that_do_not(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


@pytest.mark.parametrize("name", ["***", "!", "🍞", "قسط", "\u0301", "x" * 200])
def test_every_name_has_a_skeleton(name: str) -> None:
    assert skeleton(name)
    assert skeleton(name) == skeleton(name.upper())


@pytest.mark.parametrize(
    "name",
    [
        "amal",
        "adminah",
        "roots",
        "teamwork",
        "supporter_1",
        "amal_admin",
        "42",
        "-",
        "قسط",
        "thecustomer",
        "myshop",
        "helper",
        "infomax",
    ],
)
def test_other_usernames_do_not_read_like_staff(name: str) -> None:
    assert not reads_like_staff(name)


@pytest.mark.parametrize(
    "name",
    [
        "support", "Supp0rt", "qist_team", "admin42", "qistsupport", "SupportTeam", "customer-support",
        "customersupport",
        "theqistteam", "your.billing", "Qist-Fraud", "payment_security", "qіѕtsuрроrt",
    ],
)  # fmt: skip
def test_usernames_made_of_the_words_of_staff_read_like_staff(name: str) -> None:
    assert reads_like_staff(name)


def test_a_name_that_can_be_read_in_many_ways_is_read_once():
    """`help` and `desk`, or `helpdesk`: trying one reading after another would not end."""
    assert reads_like_staff("helpdesk" * 60)
    assert not reads_like_staff("helpdesk" * 60 + "x")
