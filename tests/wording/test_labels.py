"""Every code that a page shows has a label."""

from dataclasses import fields
from typing import get_args

import pytest
from flask import Flask

from portal.domain.schedule import INTERVALS, PLAN_INTERVALS
from portal.gateways.payment.simulated import checks as simulated_checks
from portal.gateways.payment.simulated.cards import OFFERED
from portal.models.payments.payments import PAYMENT_STATES, RECORDED_METHODS
from portal.models.payments.refunds import REFUND_STATES
from portal.models.plans.installments import INSTALLMENT_STATUSES
from portal.models.plans.plans import CLOSED_BY, PLAN_STATUSES
from portal.reports.operations import checks, revisions
from portal.reports.plans.figures import PlanFigures
from portal.wording import decline_reasons, installation, labels, simulated_cards
from portal.wording.checks import RULES, rule

STATES = sorted({*PLAN_STATUSES, *INSTALLMENT_STATUSES, *PAYMENT_STATES, *REFUND_STATES})


@pytest.mark.parametrize("code", STATES)
def test_every_state_has_a_label(app: Flask, code: str) -> None:
    with app.app_context():
        assert labels.state(code)


def test_figures_are_those_of_a_plan(app: Flask) -> None:
    assert set(labels.FIGURES) <= {field.name for field in fields(PlanFigures)}
    with app.app_context():
        assert labels.figure("credited") == labels.figure("credited", void=False) == "Credited"
        assert labels.figure("credited", void=True) == "Credited or void"
        assert labels.figure("paid", void=True) == "Paid"


def test_intervals_and_manual_methods(app: Flask) -> None:
    assert set(labels.INTERVALS) == set(PLAN_INTERVALS) and set(labels.INTERVAL_CHOICES) == set(INTERVALS)
    assert set(labels.CLOSED_BY) == set(CLOSED_BY)
    assert set(labels.MANUAL_METHODS) == set(RECORDED_METHODS)
    with app.app_context():
        assert [str(labels.INTERVAL_CHOICES[code]) for code in INTERVALS] == [
            labels.interval(code).capitalize() for code in INTERVALS
        ]


def test_an_unknown_decline_code_means_that_the_card_was_declined(app: Flask) -> None:
    with app.app_context():
        assert decline_reasons.of_payment("insufficient_funds") == "There is not enough money on this card."
        assert decline_reasons.of_payment("stolen") == decline_reasons.of_payment(None) == "The card was declined."
        assert decline_reasons.of_payment("stolen", mine=True) == "Your card was declined."
        assert decline_reasons.of_refund("not_refunded") == "The bank did not get it."
        assert decline_reasons.of_refund("stolen") == "The card takes no refunds."


def test_every_test_card_says_what_it_does(app: Flask) -> None:
    assert set(simulated_cards.EFFECTS) == {card.effect for card in OFFERED}
    with app.app_context():
        assert simulated_cards.test_card_behaviour("succeeds", "4242") == "Test card 4242: succeeds"
        assert simulated_cards.test_card_behaviour("explodes", "1111") == "Test card 1111"


def test_every_rule_of_the_check_has_a_sentence(app: Flask) -> None:
    assert set(RULES) == {code for check in checks.CHECKS for code in check.rules} | set(simulated_checks.RULES)
    with app.app_context():
        assert rule("plan_total") == "Every plan's installments add up to its total"
        assert rule("second_gateway_amounts") == "second_gateway_amounts"


SENTENCES = {
    "no_worker": "No worker reports: mails, reminders and collections wait",
    "worker_silent": "A worker is silent; the others do its work",
    "server_away": "Mails wait: the mail server is away or refuses the login",
}
"""Problems whose sentence does not begin with the part."""


def test_every_problem_of_the_installation_has_a_sentence(app: Flask) -> None:
    states = set(get_args(revisions.State)) - {"current"}
    assert {code for _, code in installation.SENTENCES} == set(installation.PROBLEMS)
    assert {code for part, code in installation.SENTENCES if part == "migrations"} == states - {"too_old"}
    with app.app_context():
        for part, code in installation.SENTENCES:
            told = installation.problem(part, code)
            assert told == SENTENCES.get(code, f"{part.capitalize()} {installation.PROBLEMS[code]}")
