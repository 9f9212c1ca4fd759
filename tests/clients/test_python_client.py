"""The Python client plays the story of a shop and a buyer over HTTP, is typed strictly, and can be published."""

import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from tests.api import a_name
from tests.fixtures.live import served
from tests.fixtures.people import PASSWORD

FOLDER = Path(__file__).parents[2] / "clients/python"
sys.path.append(str(FOLDER))
from qist_client import Client, NoAnswer, Problem  # noqa: E402


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def url(app: Flask, database: str) -> Iterator[str]:
    with served(app) as address:
        yield address


def signed_in(url: str, role: str) -> tuple[Client, str]:
    nobody, name = Client(url), a_name(role)
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "password2": PASSWORD}
    nobody.accounts_create({**account, "role": role})
    tokens = nobody.tokens_create({"username": name, "password": PASSWORD})
    return Client(url, tokens["access"]), account["email"]


def test_the_story_of_a_shop_and_a_buyer(url: str) -> None:
    shop, _ = signed_in(url, "merchant")
    buyer, email = signed_in(url, "customer")
    assert shop.accounts_show()["role"] == "merchant"
    terms = {"total_amount": "100.00", "num_installments": 3, "start_date": str(today() + timedelta(days=7))}
    assert [row["amount"] for row in shop.plans_preview(terms)["installments"]] == ["33.34", "33.33", "33.33"]
    order = {**terms, "customer_email": email, "external_id": "order-1", "metadata": {"till": "4"}}
    plan = shop.plans_create(order, idempotency_key="order-1")
    assert shop.plans_create(order, idempotency_key="order-1") == plan
    first = plan["installments"][0]

    with pytest.raises(Problem) as declined:
        buyer.installments_pay(first["id"], {"payment_method": "card_declined"})
    assert (declined.value.status, declined.value.code) == (402, "declined") and declined.value.request_id
    paid = buyer.installments_pay(first["id"])
    assert (paid["status"], paid["payment"]["state"]) == ("paid", "succeeded")
    assert buyer.payments_pay(plan["id"], {"choice": "amount", "amount": "10.00"})["amount"] == "10.00"
    cash = shop.payments_record(plan["id"], {"amount": "5.00", "method": "cash", "received_on": str(today())})
    assert shop.plan_actions_void(cash["id"], {"reason": "A mistake"})["state"] == "voided"
    assert shop.refunds_create(plan["id"], {"amount": "3.34", "reason": "A scratch"})["refunded"] == "3.34"
    credited = shop.plan_actions_credit(plan["id"], {"amount": "1.00", "reason": "Late delivery"})
    assert (credited["credited"], credited["remaining"]) == ("1.00", "55.66")
    with pytest.raises(Problem) as wrong:
        shop.plan_actions_credit(plan["id"], {"amount": "1.001", "reason": ""})
    assert {fault["pointer"] for fault in wrong.value.errors} == {"#/amount", "#/reason"}

    shop.reminders_mute_plan(plan["id"])
    shop.reminders_unmute_plan(plan["id"])
    pages, cursor = [], None
    while page := shop.payments_index(limit=1, cursor=cursor, sort="id"):
        pages.append(page[0]["state"])
        if (cursor := page.next_cursor) is None:
            break
    assert pages == ["declined", "succeeded", "succeeded", "voided"]
    assert [row["id"] for row in shop.plans_index(external_id="order-1", status="active")] == [plan["id"]]
    assert isinstance(shop.analytics_journal(from_=str(today()), limit=200), list)
    assert shop.analytics_dashboard()["success_rate"] is not None
    assert shop.plan_actions_cancel(plan["id"], {"reason": "Returned"})["status"] == "cancelled"
    assert shop.events_index(types="plan.created").next_cursor
    with pytest.raises(Problem, match="401 no_token"):
        Client(url).plans_index()
    with pytest.raises(Problem, match="404 not_found"):
        shop.plans_show(10**9)


def test_a_request_without_an_answer_is_sent_again_only_if_that_is_safe() -> None:
    """A server that closes each connection without an answer counts them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[int] = []

        def close_each() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connections.append(1)
                connection.close()

        threading.Thread(target=close_each, daemon=True).start()
        client = Client(f"http://127.0.0.1:{server.getsockname()[1]}", "token")
        with pytest.raises(NoAnswer):
            client.tokens_create({"username": "omar", "password": PASSWORD})
        assert len(connections) == 1, "a sign-in has no key"
        with pytest.raises(NoAnswer):
            client.installments_pay(1)
        assert len(connections) == 1 + 3
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.long
def test_it_is_typed_strictly_and_its_wheel_is_whole(tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(FOLDER, package)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "-p", "qist_client"]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    build = "import sys; from flit_core import buildapi; print(buildapi.build_wheel(sys.argv[1]))"
    wheel = subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=package, capture_output=True, text=True)
    assert wheel.returncode == 0, wheel.stderr
    names = set(zipfile.ZipFile(tmp_path / wheel.stdout.strip()).namelist())
    assert {f"qist_client/{name}" for name in ("__init__.py", "api.py", "transport.py", "py.typed")} <= names
    assert any(name.endswith("LICENSE") for name in names)
    assert len((FOLDER / "README.md").read_text().splitlines()) <= 16
