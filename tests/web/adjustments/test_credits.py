"""Pages for giving a credit."""

import pytest
from flask import Flask

from tests.web import browser_of
from tests.web.acts import a_world, check, do, words

WHY = {"reason": "It came late"}


def test_a_credit_comes_off_the_last_installment_and_waives_it(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal = browser_of(app, "amal")
    shown = words(check(amal, f"/plans/{plan}/credit", amount="40", how="last", **WHY))
    assert "2 of 3 SAR 33.33 SAR 26.66" in shown and "3 of 3 SAR 33.33 SAR 0.00" in shown
    page = do(amal, f"/plans/{plan}/credit", amount="40", how="last", **WHY)
    assert "SAR 40.00 credited." in words(page) and "Credited SAR 40.00" in words(page)
    assert "Waived" in page.text and "SAR 40.00 credited, the last installment first" in words(page)
    omar = words(browser_of(app, "omar").get(f"/plans/{plan}"))
    assert "SAR 6.67 of 33.33 credited, SAR 26.66 left" in omar and "Pay SAR 26.66" in omar and "It came late" in omar


@pytest.mark.parametrize("typed", ["٤٠", "40,00", "۴۰٫۰۰", "SAR 40.00"])
def test_an_amount_is_read_as_people_write_it(app: Flask, database: str, typed: str) -> None:
    plan, _ = a_world(app)
    assert "3 of 3 SAR 33.33 SAR 0.00" in words(
        check(browser_of(app, "amal"), f"/plans/{plan}/credit", amount=typed, how="last", **WHY)
    )


def test_a_credit_is_spread_and_may_close_the_plan(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal = browser_of(app, "amal")
    shown = words(check(amal, f"/plans/{plan}/credit", amount="10", how="spread", **WHY))
    assert "2 of 3 SAR 33.33 SAR 28.33" in shown and "3 of 3 SAR 33.33 SAR 28.33" in shown
    much = check(amal, f"/plans/{plan}/credit", amount="66.67", how="spread", **WHY)
    assert much.status_code == 422 and "which is SAR 66.66" in words(much)
    odd = check(amal, f"/plans/{plan}/credit", amount="1", how="sideways", **WHY)
    assert odd.status_code == 422 and 'id="how-error"' in odd.text
    page = do(amal, f"/plans/{plan}/credit", amount="66.66", how="spread", **WHY)
    assert "Completed" in page.text and "Remaining SAR 0.00" in words(page)
