"""PgBouncer as Debian ships it between Qist and PostgreSQL: by session it works, by transaction it can't."""

import os
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from portal import queue
from portal.extensions import db
from portal.jobs import idle
from portal.metrics.figures import Reader
from portal.models import Installment
from portal.services.accounts import tokens
from tests.conftest import Figures
from tests.fixtures import people, servers
from tests.fixtures.live import free_port
from tests.processes.running import HANG_SECONDS, Running, answers, until
from tests.processes.test_crashes import PART, PARTS, Attempt, Work, check_payments
from tests.processes.test_machines import is_ready, settled

PAYMENTS = 48
CLIENTS = 4


@contextmanager
def pgbouncer(**options: str) -> Iterator[str]:
    """A PgBouncer before the tests' server, with its own defaults but for these options. Yields its address."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no PgBouncer here")
    with servers.administrator() as connection:
        host = connection.info.host
    owner = Path(host).stat()
    user = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    folder, port = Path(tempfile.mkdtemp(prefix="qist-bouncer-", dir="/tmp")), free_port()
    folder.chmod(0o755)
    lines = [f"[databases]\n* = host={host} user=qist\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}"]
    lines += ["unix_socket_dir =", "auth_type = any", *(f"{name} = {value}" for name, value in options.items())]
    (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, folder / "pgbouncer.ini"], cwd="/", stdout=log, stderr=log, **user)
    url = f"postgresql://qist@127.0.0.1:{port}/{servers.database_name()}"
    try:
        until(lambda: answers(url), HANG_SECONDS, (folder / "log").read_text)
        yield url
    finally:
        process.kill()
        process.wait(HANG_SECONDS)
        shutil.rmtree(folder)


def test_the_worker_looks_for_work_through_it(app: Flask, database: str) -> None:
    """It refuses startup options."""
    with pgbouncer(default_pool_size="5") as url, closing(idle.Watch(url)) as watch:
        assert {name for name in idle.FINDS if not watch.finds_nothing(f"{queue.JOBS}.{name}")} == set()


@pytest.mark.long
def test_customers_pay_and_mails_go_out_through_pgbouncer(
    app: Flask, database: str, running: Running, figures: Figures
) -> None:
    """With its default, `pool_mode = session`, and fewer connections to PostgreSQL than the processes may open."""
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        plans = [people.a_plan(amal, total=PARTS * PART, count=PARTS) for _ in range(PAYMENTS // PARTS)]
        parts = list(db.session.scalars(select(Installment.id).where(Installment.plan_id.in_(plans))))
        token = tokens.start(omar).access
        db.session.remove()
    with pgbouncer(max_client_conn="200", default_pool_size="30") as url:
        port = str(free_port())
        environ = {"DATABASE_URL": url, "PORT": port, "LOG_LEVEL": "error", "RATELIMIT_WRITES": "1000000 per minute"}
        for command in ("web", "worker", "scheduler"):
            running.start(command, **environ)
        address = f"http://127.0.0.1:{port}"
        until(lambda: is_ready(address), details=running.output)
        work = Work(address, token, deque(Attempt(part) for part in parts), total=len(parts))
        threads = [threading.Thread(target=work.client) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert work.unexpected == [] and len(work.paid) == len(parts), running.output()[-5000:]
        with app.app_context():
            until(settled(), 240, running.output)
            check_payments(work, parts)
            db.session.remove()
        command = running.start("check", **environ)
        assert command.wait(HANG_SECONDS) == 0, running.output()[-5000:]
        figures(f"{len(parts)} payments through PgBouncer by session: {dict(work.codes)}")


@pytest.mark.parametrize(("mode", "limit"), [("session", "0"), ("transaction", "2s")])
def test_by_transaction_a_session_belongs_to_whoever_comes_next(database: str, mode: str, limit: str) -> None:
    """The reason of docs/scaling.md: the metrics' limit for a statement becomes that of a customer's payment."""
    with pgbouncer(pool_mode=mode, default_pool_size="1") as url:
        settings = servers.settings_for(servers.database_name(), DATABASE_URL=url)
        assert Reader(settings).read()["postgres"].up
        with psycopg.connect(url) as payment:
            assert payment.execute("SHOW statement_timeout").fetchone() == (limit,)
