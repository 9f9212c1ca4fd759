"""Pages for new days: one installment moves, all shift, the rest is split; and what needs the customer's consent."""

from datetime import timedelta

from flask import Flask

from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import a_world, check, do, words

WHY = {"reason": "Salary comes later"}


def day(app: Flask, plan: int, away: int) -> str:
    with app.app_context():
        return (people.plan_of(plan).today + timedelta(days=away)).isoformat()


def test_all_open_installments_shift_after_a_confirmation_with_the_days_before_and_after(
    app: Flask, database: str
) -> None:
    plan, _ = a_world(app)
    amal, address = browser_of(app, "amal"), f"/plans/{plan}/reschedule"
    shown = words(check(amal, address, how="shift", days="9", **WHY))
    assert "Change when this plan is paid?" in shown and "SAR 33.33 SAR 0.00" in shown
    page = do(amal, address, how="shift", days="9", **WHY)
    assert "SAR 66.66 has new days." in words(page) and "SAR 66.66 shifted to other days" in words(page)
    assert "Salary comes later" in page.text and "3 payments, on agreed days" in words(page)
    assert "SAR 66.66 shifted to other days" in words(browser_of(app, "omar").get(f"/plans/{plan}"))


def test_one_installment_moves_and_the_rest_is_split(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal, address = browser_of(app, "amal"), f"/plans/{plan}/reschedule"
    with app.app_context():
        second = people.installments_of(plan)[1].id
    page = do(amal, address, how="move", installment=str(second), due_date=day(app, plan, 100), **WHY)
    assert "SAR 33.33 moved to another day" in words(page)
    typed = {"how": "split", "num_installments": "6", "interval": "weekly", "due_date": day(app, plan, 120)}
    page = do(amal, address, **typed, **WHY)
    assert "SAR 66.66 split over 6 new installments" in words(page) and "7 payments, on agreed days" in words(page)


def test_errors_stand_beside_their_fields(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal, address = browser_of(app, "amal"), f"/plans/{plan}/reschedule"
    for typed, field in (
        ({"how": "shift", "days": "x"}, "days"),
        ({"how": "shift", "days": ""}, "days"),
        ({"how": "move", "installment": "1", "due_date": "soon"}, "due_date"),
        ({"how": "move", "installment": "999", "due_date": day(app, plan, 100)}, "installment"),
        ({"how": "split", "num_installments": "61", "due_date": day(app, plan, 100)}, "num_installments"),
    ):
        wrong = check(amal, address, **typed, **WHY)
        assert wrong.status_code == 422 and f'id="{field}-error"' in wrong.text, typed
    missing = check(amal, address, how="shift", days="3", reason="")
    assert missing.status_code == 422 and 'id="reason-error"' in missing.text


def test_earlier_days_are_refused(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    typed = {"how": "split", "num_installments": "1", "interval": "monthly", "due_date": day(app, plan, 300)}
    refused = check(browser_of(app, "amal"), f"/plans/{plan}/reschedule", **typed, **WHY)
    assert refused.status_code == 409
    assert "more at once, than your customer agreed to" in words(refused)
