"""A real PostgreSQL older than 17, as Debian 12 has it: every process refuses it by name, and writes nothing."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from portal.app import create_app
from portal.extensions import db
from portal.local.data_dir import unprivileged_user
from portal.metrics.figures import Reader
from portal.reports.operations import health
from tests.fixtures import servers
from tests.processes.running import HANG_SECONDS, Running, ValkeyServer, answers, until

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("1[0-6]/bin/postgres"))
REFUSAL = "The database is older than PostgreSQL 17, which Qist needs."


@pytest.fixture
def old_url() -> Iterator[str]:
    """The address of a new cluster of the newest such version here."""
    if not PROGRAMS:
        pytest.skip("no PostgreSQL older than 17 here")
    folder = Path(tempfile.mkdtemp(prefix="qist-old-", dir="/tmp"))
    user = {"user": unprivileged_user()[0], "group": unprivileged_user()[1]} if os.geteuid() == 0 else {}
    if user:
        os.chown(folder, user["user"], user["group"])
    data = f"{folder}/data"
    initdb = [PROGRAMS[-1].with_name("initdb"), "-D", data, "--username=qist", "--auth=trust", "--locale=C", "-EUTF8"]
    subprocess.run([*initdb, "--no-sync"], cwd="/", check=True, capture_output=True, **user)
    command = [PROGRAMS[-1], "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **user)
    url = f"postgresql://qist@/postgres?host={folder}"
    until(lambda: answers(url), HANG_SECONDS, (folder / "log").read_text)
    yield url
    server.terminate()
    server.wait(HANG_SECONDS)
    shutil.rmtree(folder)


@pytest.mark.long
def test_every_process_refuses_it_by_name(old_url: str, running: Running, valkey_server: ValkeyServer) -> None:
    environ = {"DATABASE_URL": old_url, "PUBLIC_URL": "http://127.0.0.1:8000"}
    for command, code in ((("db", "upgrade"), 1), (("check",), 2), (("web",), 1), (("worker",), 1)):
        process = running.start(*command, **environ)
        assert process.wait(HANG_SECONDS) == code, running.output()
        said = (running.folder / f"{len(running.processes) - 1}.out").read_text()
        assert REFUSAL in said and "Traceback" not in said
    doctor = running.start("doctor", "--json", **environ)
    assert doctor.wait(HANG_SECONDS) == 1
    found = json.loads((running.folder / f"{len(running.processes) - 1}.out").read_text())
    (line,) = [finding for finding in found if (finding["part"], finding["code"]) == ("database", "too_old")]
    with psycopg.connect(old_url) as connection:
        version = str(connection.info.server_version // 10_000)
        tables = connection.execute("SELECT FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert line["level"] == "error" and line["sentence"].startswith(f"PostgreSQL {version}.") and tables == []
    settings = servers.settings_for("postgres", DATABASE_URL=old_url)
    app = create_app(settings)
    response = app.test_client().get("/readyz")
    assert (response.status_code, response.json) == (503, {"status": "unavailable"})
    with app.app_context():
        assert health.check().problems == {"database": "too_old"}
        db.engine.dispose()
    problem = Reader(settings).read()["postgres"].problem
    assert problem and (problem.kind, problem.message) == ("too_old", f"PostgreSQL {version}") and problem.hindrance
