"""The commands that set up an installation, and deactivate accounts and businesses."""

import json
import os
import re
import subprocess
import sys

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import make_url

from portal import __version__, cli
from portal.extensions import db
from portal.models import Merchant, User
from portal.reports.operations import checks
from portal.services.accounts import password_resets, sessions
from tests.fixtures import operations, people
from tests.services.security import factors

SETUP = (
    "setup", "--operator", "olga", "--operator-email", "olga@example.com", "--owner", "amal", "--owner-email",
    "amal@example.com", "--business", "Amal's Bakery", "--currency", "SAR", "--time-zone", "Asia/Riyadh",
)  # fmt: skip


@pytest.fixture
def run(app: Flask, context: object) -> FlaskCliRunner:
    return app.test_cli_runner()


def call(run: FlaskCliRunner, *arguments: str) -> tuple[int, str]:
    db.session.rollback()
    result = run.invoke(cli.main, list(arguments))
    db.session.rollback()
    return result.exit_code, result.output


def test_setup_prints_two_links_that_set_passwords(run: FlaskCliRunner) -> None:
    code, output = call(run, *SETUP)
    assert code == 0 and "Amal's Bakery is ready." in output
    tokens = dict(re.findall(r"(operator|owner) \w+: http://localhost/password-resets/(\S+)", output))
    assert set(tokens) == {"operator", "owner"}
    password_resets.use(tokens["owner"], new=people.PASSWORD)
    assert sessions.authenticate("amal", people.PASSWORD)
    assert db.session.scalars(db.select(Merchant)).one().standing == "live"
    code, output = call(run, *SETUP)
    assert code == 1 and "This installation has an operator already." in output and "password-resets" not in output


def test_setup_names_every_fault(run: FlaskCliRunner) -> None:
    code, output = call(run, *SETUP[:4], "olga", *SETUP[5:])
    assert code == 1 and output.startswith("Error: operator_email: ")
    assert db.session.scalars(db.select(User)).all() == []


def test_an_account_is_deactivated_and_reactivated_by_username_or_email(run: FlaskCliRunner) -> None:
    people.omar()
    assert call(run, "deactivate", "OMAR@example.com", "--reason", "Stolen") == (0, "Deactivated.\n")
    assert operations.acts() == [("account_deactivated", None, "Stolen")]
    assert call(run, "deactivate", "omar", "--reason", "x") == (1, "Error: This is deactivated already.\n")
    assert call(run, "reactivate", "omar", "--reason", "Found") == (0, "Reactivated.\n")
    code, output = call(run, "deactivate", "nobody", "--reason", "x")
    assert code == 1 and "There is no account with this username or email." in output
    assert call(run, "deactivate", "omar", "--reason", " ") == (1, "Error: reason: Say why, in a few words.\n")


def test_lost_factors_are_removed_a_day_after_the_command(run: FlaskCliRunner) -> None:
    omar = people.omar()
    assert call(run, "remove-factors", "omar", "--reason", "Lost") == (1, "Error: This account has no second factor.\n")
    factors.turn_on(omar)
    code, output = call(run, "remove-factors", "omar@example.com", "--reason", "Lost")
    assert code == 0 and "24 hours" in output
    assert operations.acts() == [("factor_removal_asked", None, "Lost")]


def test_a_business_is_deactivated_by_its_id(run: FlaskCliRunner) -> None:
    amal = people.amal()
    assert call(run, "deactivate", "--merchant", str(amal), "--reason", "Fraud") == (0, "Deactivated.\n")
    assert operations.merchant_of(amal).standing == "deactivated"
    assert call(run, "reactivate", "--merchant", str(amal), "--reason", "A mistake") == (0, "Reactivated.\n")
    assert operations.merchant_of(amal).standing == "live"
    assert call(run, "deactivate", "--merchant", "999999", "--reason", "x")[0] == 1
    for arguments in (("--reason", "x"), ("omar", "--merchant", "1", "--reason", "x")):
        code, output = call(run, "deactivate", *arguments)
        assert code == 2 and "Name an account, or --merchant" in output


def test_status_and_check_print_json(run: FlaskCliRunner) -> None:
    amal, omar = people.amal(), people.omar()
    people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged")
    code, output = call(run, "status")
    figures = json.loads(output)
    assert code == 0 and figures["version"] == __version__
    assert (figures["in_flight"]["payments"], figures["in_flight"]["refunds"]) == (1, 0)
    assert figures["health"]["problems"] == {} and figures["queue"]["waiting"] >= 0
    assert "omar" not in output
    code, output = call(run, "check", "--json")
    assert code == 0 and set(json.loads(output).values()) == {0}
    assert set(json.loads(output)) == {rule for rule, _count in checks.run()}


def test_a_link_for_one_account(run: FlaskCliRunner) -> None:
    omar = people.omar()
    code, output = call(run, "sign-in-link", "omar")
    token = output.strip().rpartition("/")[2]
    assert code == 0 and password_resets.find(token) is not None
    call(run, "deactivate", "omar", "--reason", "Stolen")
    assert call(run, "sign-in-link", "omar")[0] == 1
    assert password_resets.find(token) is None and omar


@pytest.mark.long
@pytest.mark.parametrize("answer", ["n\n", ""])
def test_demo_data_is_not_added_to_production_without_a_yes(run: FlaskCliRunner, app: Flask, answer: str) -> None:
    """Neither after a no nor without a terminal, such as in a script."""
    url = make_url(app.config["QIST"].database_url).render_as_string(hide_password=False)
    production = {"QIST_ENV": "production", "PUBLIC_URL": "https://pay.shop.test", "SMTP_HOST": "127.0.0.1"}
    environment = {**os.environ, **production, "DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "-m", "portal.cli", "seed-demo"]
    environment |= {"SECRET_KEY": "only-for-tests-0123456789abcdefghijklmnop", "FLASK_SKIP_DOTENV": "1"}
    done = subprocess.run(command, env=environment, input=answer, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "This is production." in done.stdout + done.stderr, done.stderr
    assert db.session.scalar(db.text("SELECT count(*) FROM users")) == 0


@pytest.mark.long
@pytest.mark.parametrize("database", ["away", "empty"])
def test_a_check_that_can_not_look_exits_with_2_and_one_line(run: FlaskCliRunner, app: Flask, database: str) -> None:
    own = make_url(app.config["QIST"].database_url)
    url = own.set(database="qist_nowhere" if database == "away" else "postgres")
    environment = {**os.environ, "DATABASE_URL": url.render_as_string(hide_password=False), "SECRET_KEY": "k" * 40}
    command = [sys.executable, "-m", "portal.cli", "check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("The database does not answer" if database == "away" else "Migrations: not up to date")
    assert "Traceback" not in done.stderr


def test_a_check_exits_with_0_and_with_1_when_a_rule_is_broken(run: FlaskCliRunner) -> None:
    amal, omar = people.amal(), people.omar()
    paid = people.pay(people.installments_of(people.a_plan(amal))[0].id, omar)
    code, output = call(run, "check")
    assert code == 0 and "BROKEN" not in output
    db.session.execute(
        db.text("UPDATE gateway_charges SET amount = amount + 1 WHERE key = :key"), {"key": paid.gateway_key}
    )
    db.session.commit()
    code, output = call(run, "check")
    assert code == 1 and "BROKEN  The gateway charged, or gave back, what came in through it" in output
