"""Tokens of the unsubscribe link."""

import pytest

from portal.services.reminders import unsubscribe

pytestmark = pytest.mark.usefixtures("context")


def test_a_token_names_its_customer_and_a_forged_one_none(omar):
    token = unsubscribe.token_of(omar)
    assert unsubscribe.customer_of(token).id == omar
    for forged in ("", "x", token + "x", token.partition(".")[0], "\x00"):
        assert unsubscribe.customer_of(forged) is None
