"""Pages for cancelling a plan, with or without a refund."""

from flask import Flask

from tests.web import browser_of
from tests.web.acts import a_world, check, do, money_of, words

WHY = {"reason": "The oven broke"}


def test_a_plan_is_cancelled_and_the_paid_amount_is_kept(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal = browser_of(app, "amal")
    page = do(amal, f"/plans/{plan}/cancel", give_back="keep", **WHY)
    assert "Plan cancelled." in words(page) and "Plan cancelled, SAR 66.66 void" in words(page)
    assert page.text.count("Cancelled") >= 3 and "The oven broke" in page.text
    omar = browser_of(app, "omar")
    page_of_omar = omar.get(f"/plans/{plan}")
    assert "This plan was cancelled" in page_of_omar.text and '<form class="pay' not in page_of_omar.text
    assert "This plan was cancelled." in omar.get(f"/plans/{plan}/pay").text
    again = amal.get(f"/plans/{plan}/cancel")
    assert again.status_code == 200 and "This plan is cancelled already." in again.text
    assert "/cancel" not in amal.get(f"/plans/{plan}").text


def test_the_paid_amount_is_refunded_in_part_or_in_whole(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal, address = browser_of(app, "amal"), f"/plans/{plan}/cancel"
    for typed, error in (
        ({"give_back": "part", "refund": "33.35"}, "At most SAR 33.34 can be given back."),
        ({"give_back": "part", "refund": ""}, "Enter an amount."),
        ({"give_back": "keep", "refund": "5"}, "Choose “Give back a part”"),
    ):
        wrong = check(amal, address, **typed, **WHY)
        assert wrong.status_code == 422 and error in words(wrong) and 'id="refund-error"' in wrong.text
    assert check(amal, address, give_back="burn", **WHY).status_code == 422
    shown = words(check(amal, address, give_back="part", refund="5", **WHY))
    assert "Cancel plan and refund SAR 5.00" in shown and "Refunded SAR 0.00 SAR 5.00" in shown
    page = do(amal, address, give_back="all", **WHY)
    assert "Plan cancelled, SAR 33.34 refunded." in words(page)
    now = money_of(app, plan)
    assert (now.remaining, now.refunded, now.kept) == (0, 33_34, 0)
