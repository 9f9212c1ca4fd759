"""Pages for writing off, and payments after it."""

from flask import Flask

from tests.fixtures import people
from tests.web import HTMX, browser_of
from tests.web.acts import a_world, do, money_of, words
from tests.web.payments.test_plan_payments import pay


def test_the_remaining_amount_is_written_off_and_a_later_payment_is_a_recovery(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    page = do(browser_of(app, "amal"), f"/plans/{plan}/write-off", reason="No answer for a year")
    assert "SAR 66.66 written off." in words(page) and "Written off SAR 66.66" in words(page)
    assert "Remaining SAR 0.00" in words(page) and "No answer for a year" in page.text
    omar = browser_of(app, "omar")
    page_of_omar = words(omar.get(f"/plans/{plan}"))
    assert "Nothing more is expected" in page_of_omar and "wrote off SAR 66.66 . You can still pay it." in page_of_omar
    assert "All that remains" in omar.get(f"/plans/{plan}/pay").text
    assert pay(omar, plan, choice="amount", amount="20").status_code == 303
    page = browser_of(app, "amal").get(f"/plans/{plan}")
    assert "SAR 20.00 of it had been written off" in words(page) and "Written off SAR 46.66" in words(page)
    assert money_of(app, plan).owed == 46_66
    pay(omar, plan, choice="all", method="card_lost_charged")
    assert "Checking with the bank" in omar.get(f"/plans/{plan}").text


def test_a_written_off_amount_is_never_shown_as_paid(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    omar, amal = browser_of(app, "omar"), browser_of(app, "amal")
    with app.app_context():
        second = people.installments_of(plan)[1].id
    do(amal, f"/plans/{plan}/write-off", reason="No answer for a year")
    home = omar.get("/home").text
    assert "Nothing more is expected on your plans." in home and "Your closed plans" in home and "paid." not in home
    assert "Nothing is left to pay" not in amal.get(f"/plans/{plan}").text
    form = {"key": "one-use-key-0123456789", "shown": "3333"}
    paid = words(omar.post(f"/installments/{second}/payments", data=form, headers=HTMX))
    assert "SAR 33.33 paid" in paid and "wrote off SAR 33.33 . You can still pay it." in paid
    assert "Everything is paid." not in paid
    assert pay(omar, plan, choice="all").status_code == 303
    assert "All paid" in omar.get(f"/plans/{plan}").text and "All your plans are paid." in omar.get("/home").text
