"""An installation with its web server for the measurements over HTTP: plans to pay, tokens and browsers."""

import http.client
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import psutil
from flask import Flask
from sqlalchemy import text

from bench import _large
from bench._app import application, cpu_of, postgres_cpu
from portal.extensions import db
from portal.services.accounts import passwords, tokens
from portal.services.books import totals
from tests.fixtures.live import free_port

PAYERS: Final = 500
EACH: Final = 4
PASSWORD: Final = "correct horse battery staple 9"
ROOT: Final = Path(__file__).parents[1]

OPEN: Final = """
INSERT INTO plans (merchant_id, customer_id, description, total, currency, num_installments, interval, start_date,
                   time_zone, grace_days, state, next_due_on, next_late_at, created_at, updated_at)
    SELECT 1, 2 + n % :payers, 'Payable ' || n, 400, 'SAR', 4, 'monthly', current_date + 7, 'Asia/Riyadh', 0, 'active',
           current_date + 7, (current_date + 8)::timestamp AT TIME ZONE 'Asia/Riyadh', now(), now()
    FROM generate_series(1, :payers * :each) AS n;
INSERT INTO installments (plan_id, merchant_id, customer_id, currency, number, due_date, late_on, late_at, amount, paid,
                          credited, written_off)
    SELECT id, 1, customer_id, 'SAR', n, start_date + 30 * (n - 1), start_date + 30 * (n - 1) + 1,
           (start_date + 30 * (n - 1) + 1)::timestamp AT TIME ZONE 'Asia/Riyadh', 100, 0, 0, 0
    FROM plans, generate_series(1, 4) AS n WHERE description LIKE 'Payable %';
INSERT INTO ledger_entries (merchant_id, plan_id, kind, booked_on, recorded_at)
    SELECT 1, id, 'plan_opened', current_date, now() FROM plans WHERE description LIKE 'Payable %';
INSERT INTO ledger_lines (entry_id, account, currency, amount)
    SELECT entry.id, account, 'SAR', amount FROM ledger_entries AS entry JOIN plans ON plans.id = plan_id,
           LATERAL (VALUES ('receivable', 400), ('sales', -400)) AS line (account, amount)
    WHERE description LIKE 'Payable %'
"""


@dataclass(slots=True)
class Scene:
    """A filled installation with its web server: headers of the business and of customers, and payable installments."""

    app: Flask
    url: str
    server: psutil.Process
    folder: Path
    shop: dict[str, str]
    customer: dict[str, str]
    shop_browser: dict[str, str]
    customer_browser: dict[str, str]
    payable: list[tuple[int, int, dict[str, str]]]
    """Installment, plan, and the headers of its customer."""

    def processes(self) -> tuple[float, float]:
        """CPU seconds of the web processes and of PostgreSQL until now."""
        return cpu_of([self.server, *self.server.children(recursive=True)]), postgres_cpu(self.app)


@contextmanager
def scene(plans: int) -> Iterator[Scene]:
    """Fill a database, and start gunicorn with three processes of one thread on it."""
    port = free_port()
    limits = dict.fromkeys(("RATELIMIT_WRITES", "RATELIMIT_LOGIN", "RATELIMIT_REGISTER"), "100000000 per minute")
    own = {"PORT": str(port), "PUBLIC_URL": f"http://localhost:{port}", "LOG_LEVEL": "error", **limits}
    own |= {"WEB_WORKERS": "3", "WEB_THREADS": "1"}
    with application(durable=True, **own) as app, app.app_context(), tempfile.TemporaryDirectory() as folder:
        with db.engine.connect() as connection:
            _large.fill(connection, plans)
        with db.engine.begin() as connection:
            for statement in OPEN.split(";"):
                connection.execute(text(statement), {"payers": PAYERS, "each": EACH})
            secret = {"hash": passwords.hash_password(PASSWORD)}
            connection.execute(text("UPDATE users SET password_hash = :hash WHERE id < 3"), secret)
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
        totals.fold(1)
        settings = app.config["QIST"]
        environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
            **own,
            "PYTHONPATH": str(ROOT),
            "FLASK_SKIP_DOTENV": "1",
            "SECRET_KEY": settings.secret_key,
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
        }
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
        server = subprocess.Popen(command, cwd=ROOT, env=environ)
        try:
            url = f"http://localhost:{port}"
            _wait(url)
            yield _scene(app, url, psutil.Process(server.pid), Path(folder))
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if ask(url, "GET", "/healthz").status == 200:
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError("the web server did not start")
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    cookies: dict[str, str]


def ask(url: str, method: str, path: str, headers: dict[str, str] | None = None, body: str | None = None) -> Answer:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    content = response.read().decode(errors="replace")
    pairs = [value.split(";")[0].split("=", 1) for name, value in response.getheaders() if name.lower() == "set-cookie"]
    connection.close()
    return Answer(response.status, content, dict(pairs))


def _scene(app: Flask, url: str, server: psutil.Process, folder: Path) -> Scene:
    rows = db.session.execute(
        text(
            "SELECT part.id, plan_id, part.customer_id FROM installments AS part JOIN plans ON plans.id = plan_id "
            "WHERE description LIKE 'Payable %' ORDER BY number, part.id"
        )
    ).all()
    headers = {customer: _bearer(customer) for customer in sorted({row.customer_id for row in rows})}
    return Scene(
        *(app, url, server, folder, _bearer(1), headers[2]),
        *(browser(url, "person1"), browser(url, "person2")),
        [(row.id, row.plan_id, headers[row.customer_id]) for row in rows],
    )


def _bearer(user_id: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.start(user_id).access}"}


def browser(url: str, login: str) -> dict[str, str]:
    """The cookies of somebody who signed in by the form."""
    page = ask(url, "GET", "/login")
    values = {"csrf_token": csrf(page.text), "login": login, "password": PASSWORD}
    headers = form_headers(cookies_header(page.cookies))
    answer = ask(url, "POST", "/login", headers, urlencode(values))
    if answer.status != 303:
        raise RuntimeError(f"{login} could not sign in: {answer.status}")
    return cookies_header(page.cookies | answer.cookies)


def cookies_header(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def form_headers(headers: dict[str, str]) -> dict[str, str]:
    return headers | {"Content-Type": "application/x-www-form-urlencoded"}


def csrf(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
    if found is None:
        raise RuntimeError("the page has no form")
    return found[1]
