"""The findings of `qist doctor`: each fault with the real server."""

import json
import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import time_machine
from flask import Flask
from flask.testing import FlaskCliRunner

from portal import __version__, cli
from portal.app import log_findings
from portal.domain import clock
from portal.extensions import db
from portal.jobs.scheduler import look
from portal.local.valkey import Valkey
from portal.reports.operations import revisions
from portal.services.maintenance import doctor
from portal.valkey import connections
from portal.wording.doctor import SENTENCES, sentence
from tests.conftest import LogLines
from tests.fixtures.mails import Catcher, sending
from tests.fixtures.valkey.rq_jobs import a_worker

pytestmark = [pytest.mark.usefixtures("context"), pytest.mark.xdist_group("the policy of Valkey")]


def faults(**more: Any) -> dict[tuple[str, str], str]:
    """Part and code of the findings that are not ok, with their level. Each finding has a sentence."""
    findings = doctor.examine(**more)
    assert all(sentence(found.part, found.code, found.facts) for found in findings)
    return {(found.part, found.code): found.level for found in findings if found.level != "ok"}


@pytest.fixture
def settings(app: Flask, monkeypatch: pytest.MonkeyPatch, valkey: redis.Redis) -> Any:
    """Change settings for this test. A scheduler and a worker are at work."""
    a_worker(valkey)
    look(valkey, ())
    start = replace(app.config["QIST"], public_url="https://pay.shop.test")

    def change(**more: Any) -> None:
        monkeypatch.setitem(app.config, "QIST", replace(start, **more))

    change()
    return change


def test_a_sound_installation_has_no_fault(settings: Any, valkey: redis.Redis) -> None:
    assert faults() == {}


def test_production_needs_an_address_a_mail_server_and_a_gateway(settings: Any) -> None:
    settings(env="production", public_url="https://localhost")
    assert faults() == {
        ("public_url", "loopback"): "error", ("gateway", "simulated"): "warning", ("smtp", "not_configured"): "warning",
        ("proxies", "none"): "warning", ("database", "may_alter"): "warning",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"smtp_host": "mail.shop.test", "smtp_security": "none"}, "smtp"),
        ({"redis_url": "redis://:word@valkey.shop.test/0"}, "valkey"),
        ({"database_url": "postgresql+psycopg://qist@db.shop.test/qist?sslmode=require"}, "database"),
        ({"redis_url": "rediss://:word@valkey.shop.test/0?ssl_cert_reqs=none"}, "valkey"),
        ({"database_url": "postgresql+psycopg://qist@/qist?host=db.shop.test"}, "database"),
        ({"smtp_host": "mail.shop.test", "smtp_security": "starttls"}, None),
        ({"smtp_host": "mail", "smtp_security": "none"}, None),
        ({"smtp_host": "127.0.0.2", "smtp_security": "none"}, None),
        ({"redis_url": "rediss://:word@valkey.shop.test/0"}, None),
        ({"redis_url": "redis://:word@valkey/0"}, None),
        ({"database_url": "postgresql+psycopg://qist@db.shop.test/qist?sslmode=verify-full"}, None),
        ({"database_url": "postgresql+psycopg://qist@/qist?host=/run/postgresql"}, None),
    ],
)
def test_a_connection_to_another_machine_without_tls_is_named(
    app: Flask, settings: Any, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], part: str | None
) -> None:
    """The connections that answer are this machine's; the addresses of the settings are looked at only."""
    ours = connections.for_requests(app.config["QIST"].redis_url)
    monkeypatch.setattr(connections, "for_requests", lambda url: ours)
    settings(env="production", **change)
    plain = {found for found in faults(at_start=True) if found[1] == "plain"}
    assert plain == ({(part, "plain")} if part else set())


def test_a_valkey_that_evicts_is_an_error(settings: Any, valkey: redis.Redis) -> None:
    valkey.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert faults() == {("valkey", "evicts"): "error"}
    finally:
        valkey.config_set("maxmemory-policy", "noeviction")


def test_a_clock_that_differs_is_an_error(settings: Any) -> None:
    with time_machine.travel(clock.now() + timedelta(seconds=10)):
        assert faults() == {("database", "clock"): "error", ("valkey", "clock"): "error"}


def test_an_old_server_and_missing_migrations_are_errors(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(revisions, "OLDEST_SERVER", 99)
        assert faults() == {("database", "too_old"): "error"}
    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'baseline_tables'")
    assert faults() == {("database", "behind"): "error"}


def test_servers_that_do_not_answer_are_errors(settings: Any) -> None:
    settings(redis_url="redis://127.0.0.1:1/0", smtp_host="127.0.0.1", smtp_port=1, smtp_security="none")
    assert faults() == {("valkey", "unreachable"): "error", ("smtp", "refused"): "error"}
    assert ("smtp", "refused") not in faults(at_start=True)


def test_the_mail_server_is_asked_and_takes_a_test_mail(app: Flask, settings: Any) -> None:
    with Catcher() as catcher, sending(app, catcher):
        assert faults() == {} and catcher.mails == []
        assert faults(mail=doctor.SampleMail("olga@example.com", "Test", "A test")) == {}
        assert [mail["To"] for mail in catcher.mails] == ["olga@example.com"]


def test_the_command_prints_a_line_for_each_finding(app: Flask, settings: Any) -> None:
    runner: FlaskCliRunner = app.test_cli_runner()
    result = runner.invoke(cli.main, ["doctor"])
    assert result.exit_code == 0 and "ok      public_url: https://pay.shop.test" in result.output
    settings(redis_url="redis://127.0.0.1:1/0")
    result = runner.invoke(cli.main, ["doctor"])
    assert result.exit_code == 1 and "error   valkey: does not answer: " in result.output


def test_a_start_in_production_logs_what_is_wrong(app: Flask, settings: Any, log_lines: LogLines) -> None:
    log_findings(app)
    assert log_lines() == []
    settings(env="production", smtp_host="smtp.shop.test")
    log_findings(app)
    assert [(line["event"], line["part"], line["code"]) for line in log_lines()] == [
        ("doctor.found", "proxies", "none"),
        ("doctor.found", "gateway", "simulated"),
        ("doctor.found", "database", "may_alter"),
    ]


def test_no_sentence_is_without_a_finding() -> None:
    parts = {"qist", "public_url", "proxies", "gateway", "database", "valkey", "scheduler", "workers", "mail", "smtp"}
    assert {part for part, _ in SENTENCES} == parts


def test_the_command_prints_json(app: Flask, settings: Any) -> None:
    result = app.test_cli_runner().invoke(cli.main, ["doctor", "--json"])
    findings = {found["part"]: found for found in json.loads(result.output)}
    assert result.exit_code == 0 and findings["proxies"]["code"] == "none"
    assert findings["qist"]["facts"]["version"] == __version__
    assert set(findings["smtp"]) == {"part", "code", "level", "sentence", "facts"}


def test_a_valkey_over_the_network_needs_a_password(settings: Any, tmp_path: Path) -> None:
    """A relay from a port of this machine to a Valkey with its own socket."""
    with Valkey(tmp_path / "valkey", durable=False) as server:
        with redis.Redis.from_url(server.url) as administrator:
            administrator.config_set("port", "0")
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            administrator.config_set("bind", "127.0.0.1")
            administrator.config_set("port", str(port))
            administrator.execute_command("ACL", "SETUSER", "qist", "on", ">a-word", "~*", "&*", "+@all")
        settings(env="production", redis_url=f"redis://127.0.0.1:{port}/0")
        assert faults(at_start=True)["valkey", "no_password"] == "warning"
        settings(env="production", redis_url=f"redis://qist:a-word@127.0.0.1:{port}/0")
        assert not [part for part, _ in faults(at_start=True) if part == "valkey"]
