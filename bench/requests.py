"""The requests of users over HTTP, on installations of several sizes: results.md and results.svg.

SIZE=tiny is a check of this file, SIZE=large adds ten million installments.
"""

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import psycopg
from sqlalchemy import event, text

from bench._report import Row, Size, machine, write
from bench._scene import PAYERS, Scene, ask, cookies_header, form_headers, scene
from bench._wrk import Request, send
from portal.domain import clock, permissions
from portal.extensions import db
from portal.models import Merchant
from portal.reports.exports.installments import export_installments
from portal.reports.operations import checks
from portal.services.books import totals

SIZES: Final = {"tiny": (2_500,), "": (2_500, 250_000), "large": (2_500, 250_000, 2_500_000)}
"""Plans of four installments, by the environment's SIZE."""
CHOSEN: Final = os.environ.get("SIZE", "")
ROUNDS: Final = 1 if CHOSEN == "tiny" else 4
SECONDS: Final = 1.0
"""The best of several short rounds counts: keep-alive connections may pile up on one worker."""
SLICE: Final = 600
"""Installments for one round of payments: more than can be paid in it."""


def measured(scene: Scene) -> list[Row]:
    """All requests, /healthz first."""
    shop, customer = scene.shop, scene.customer
    business, person = scene.shop_browser, scene.customer_browser
    plan = next(plan for _, plan, headers in scene.payable if headers == customer)
    json_body = {"Content-Type": "application/json"}
    new_plan = (
        '{{"customer_email": "person{}@example.com", "total_amount": "100.00", "num_installments": 4, '
        f'"start_date": "{clock.today("UTC")}"}}}}'
    )
    created = [Request("POST", "/api/plans/", shop | json_body, new_plan.format(2 + n % PAYERS)) for n in range(PAYERS)]
    pays = [Request("POST", f"/api/plans/installments/{row}/pay/", headers) for row, _, headers in scene.payable]
    half = len(pays) // 2
    keyed = [
        Request(pay.method, pay.path, {**pay.headers, "Idempotency-Key": f"key-{number}"})
        for number, pay in enumerate(pays[half:])
    ]
    same: dict[str, Request] = {
        "/healthz": Request("GET", "/healthz"),
        "GET me": Request("GET", "/api/auth/me/", shop),
        "plans 20 x 4": Request("GET", "/api/plans/?limit=20", shop),
        "plans 50 x 4": Request("GET", "/api/plans/?limit=50", shop),
        "installments, JSON": Request("GET", "/api/plans/installments/", customer),
        "dashboard, JSON": Request("GET", "/api/analytics/dashboard/", shop),
        "dashboard, page": Request("GET", "/dashboard", business),
        "plans, page": Request("GET", "/plans", business),
        "plans, searched": Request("GET", "/plans?search=order+1234", business),
        "plans, many found": Request("GET", "/plans?search=order+12", business),
        "plans, completed": Request("GET", "/plans?status=completed", business),
        "installments, late": Request("GET", "/installments?status=late", business),
        "customers": Request("GET", "/customers", business),
        "customer's home": Request("GET", "/home", person),
        "customer's installments": Request("GET", "/installments", person),
        "plan's page": Request("GET", f"/plans/{plan}", person),
    }
    rows = [_row(scene, name, lambda turn, request=request: [request]) for name, request in same.items()]
    rows.append(_row(scene, "create a plan of 4", lambda turn: created))
    rows.append(_row(scene, "pay", lambda turn: _slice(pays[:half], turn)))
    rows.append(_row(scene, "pay with a key", lambda turn: _slice(keyed, turn)))
    rows.append(_pay_by_form(scene, next(row for row in rows if row.name == "plan's page")))
    return rows


def _slice(requests: list[Request], turn: int) -> list[Request]:
    return requests[turn * SLICE : (turn + 1) * SLICE]


def _row(scene: Scene, name: str, requests: Callable[[int], list[Request]]) -> Row:
    """The best rate of ROUNDS, latency of one connection, and CPU over all rounds."""
    send(scene.url, requests(ROUNDS + 1), SECONDS, scene.folder)  # the first answers compile templates and statements
    before = scene.processes()
    rounds = [send(scene.url, requests(turn), SECONDS, scene.folder) for turn in range(ROUNDS)]
    after = scene.processes()
    count = sum(one.requests for one in rounds) or 1
    best = max(rounds, key=lambda one: one.rate)
    alone = send(scene.url, requests(ROUNDS), SECONDS, scene.folder, connections=1)
    python, postgres = (1000 * (late - early) / count for early, late in zip(before, after, strict=True))
    refused = sum(one.refused for one in [*rounds, alone])
    print(f"  {name:<22} {best.rate:9.0f}/s {alone.p50:8.1f} ms {python:7.2f} + {postgres:.2f} CPU ms", flush=True)
    return Row(name, best.rate, alone.p50, best.p99, python, postgres, refused)


def _pay_by_form(scene: Scene, page_row: Row) -> Row:
    """The htmx payment: each press needs the form of its page, which is fetched before and not measured.

    The CPU is that of page and press, less that of as many pages.
    """
    rows = db.session.execute(
        text("SELECT id, plan_id FROM installments WHERE customer_id = 2 AND remaining > 0 ORDER BY id DESC LIMIT 200")
    ).all()
    forms = [(row.id, row.plan_id) for row in rows]
    lock, took = threading.Lock(), list[float]()
    stop = time.perf_counter() + SECONDS * (ROUNDS + 1)
    refused: list[int] = []
    before = scene.processes()

    def press() -> None:
        while time.perf_counter() < stop:
            with lock:
                if not forms:
                    return
                installment, plan = forms.pop()
            page = ask(scene.url, "GET", f"/plans/{plan}", scene.customer_browser)
            start = page.text.find(f'action="/installments/{installment}/payments"')
            form = page.text[start:].split("</form>")[0] if start >= 0 else ""
            values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
            headers = form_headers(_cookies_of(scene.customer_browser, page.cookies)) | {"HX-Request": "true"}
            began = time.perf_counter()
            answer = ask(scene.url, "POST", f"/installments/{installment}/payments", headers, urlencode(values))
            took.append(time.perf_counter() - began)
            refused.extend([answer.status] * (answer.status >= 400))

    threads = [threading.Thread(target=press) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(took) or [0.001]
    rate = len(threads) * len(ordered) / sum(ordered)
    p50, p99 = (1000 * ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99))
    spent = (1000 * (late - early) / len(ordered) for early, late in zip(before, scene.processes(), strict=True))
    python, postgres = (both - page for both, page in zip(spent, (page_row.python, page_row.postgres), strict=True))
    print(f"  {'htmx pay':<22} {rate:9.0f}/s {p50:8.1f} ms {python:7.2f} + {postgres:.2f} CPU ms", flush=True)
    return Row("htmx pay", rate, p50, p99, python, postgres, len(refused))


def _cookies_of(headers: dict[str, str], fresh: dict[str, str]) -> dict[str, str]:
    known = dict(pair.split("=", 1) for pair in headers["Cookie"].split("; "))
    return cookies_header(known | fresh)


def yardsticks(scene: Scene) -> dict[str, str]:
    """The answers of PostgreSQL itself to the same SQL, by pgbench; empty without it."""
    if shutil.which("pgbench") is None:
        return {"pgbench": "not installed"}
    database = urlsplit(scene.app.config["QIST"].database_url)
    host, name = parse_qs(database.query)["host"][0], database.path.lstrip("/")
    scripts = {
        "SELECT 1": "SELECT 1;",
        "a commit of one row": "INSERT INTO bench_rows VALUES (1);",
        "the SQL of GET me": _sql(scene, "/api/auth/me/"),
        "the SQL of the dashboard, JSON": _sql(scene, "/api/analytics/dashboard/"),
        "the SQL of plans 20 x 4": _sql(scene, "/api/plans/?limit=20"),
    }
    with db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS bench_rows (n int)"))
    found = {}
    for title, sql in scripts.items():
        file = scene.folder / "yardstick.sql"
        file.write_text(sql)
        command = [
            "pgbench",
            "-n",
            "-c",
            "3",
            "-T",
            "2",
            "-h",
            host,
            "-U",
            database.username or "qist",
            "-f",
            str(file),
        ]
        printed = subprocess.run([*command, name], capture_output=True, text=True, check=False)
        rate = re.search(r"tps = ([0-9.]+)", printed.stdout)
        found[f"pgbench, {title}"] = f"{float(rate[1]):,.0f} a second" if rate else printed.stderr.strip()[-200:]
    return found


def _sql(scene: Scene, path: str) -> str:
    """The statements of this request of the business, with their values."""
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        writer = psycopg.ClientCursor(cursor.connection)
        statements.append(" ".join(writer.mogrify(statement, parameters).split()) + ";")

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        scene.app.test_client().get(path, headers=scene.shop)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return "\n".join(statements)


def other_work(seconds_of: Callable[[Callable[[], object]], float] | None = None) -> dict[str, str]:
    """`qist check`, a file and a fold, once each."""
    timed = seconds_of or _timed
    user, merchant = permissions.member(1, 1, "owner"), db.session.get_one(Merchant, 1)
    rows = 0

    def file() -> None:
        nonlocal rows
        rows = sum(1 for _ in export_installments(user).rows)

    wrong: list[str] = []

    def check() -> None:
        wrong.extend(code for code, count in checks.run(checks.AT_ONCE) if count)

    took = timed(file)
    return {
        "qist check": f"{timed(check):.1f} s, broken rules: {', '.join(wrong) or 'none'}",
        "file of all installments": f"{rows:,} rows, {rows / took:,.0f} a second",
        "fold of the totals": f"{1000 * timed(lambda: totals.fold(merchant.id)):.0f} ms",
    }


def _timed(work: Callable[[], object]) -> float:
    db.session.rollback()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    sizes, version = [], ""
    if CHOSEN not in SIZES:
        raise SystemExit(f"SIZE is one of {', '.join(name or 'empty' for name in SIZES)}")
    for plans in SIZES[CHOSEN]:
        began = time.perf_counter()
        with scene(plans) as stage:
            version = str(db.session.scalar(text("SHOW server_version"))).split()[0]
            installments = db.session.scalar(text("SELECT count(*) FROM installments")) or 0
            db.session.rollback()
            print(f"{installments:,} installments, filled in {time.perf_counter() - began:.0f} s", flush=True)
            size = Size(installments, measured(stage))
            size.notes = yardsticks(stage) | other_work()
        for name, figure in size.notes.items():
            print(f"  {name}: {figure}", flush=True)
        sizes.append(size)
    folder = Path(tempfile.gettempdir()) if CHOSEN == "tiny" else Path(__file__).parent
    write(sizes, machine(version), f"{clock.today('UTC'):%-d %B %Y}", folder)
    print(f"{folder / 'results.md'}, {folder / 'results.svg'}")


if __name__ == "__main__":
    main()
