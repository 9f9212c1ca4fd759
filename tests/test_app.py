"""The start of the application, and the work that it leaves to later."""

import subprocess
import sys
from typing import Any

import pytest
from flask import Flask, url_for
from werkzeug.routing import Rule

from portal.app import create_app
from tests.fixtures.live import ROOT

READ = """
import sys
from datetime import date
from babel import dates, numbers
from flask import Flask
from portal.app import load_for_workers
from portal.domain import clock

load_for_workers(Flask("portal"))
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
dates.format_date(date(2026, 5, 2), locale="en")
numbers.format_currency(12, "SAR", locale="en")
clock.wall_times(clock.now())
print(opened)
"""

DEFER = """
import sys
import portal
import limits, redis
from sqlalchemy.dialects import postgresql

print([name for name in ("redis.asyncio.client", "limits.aio.storage") if name in sys.modules])
print(redis.asyncio.Redis.__name__, limits.aio.storage.MemoryStorage.__name__, postgresql.asyncpg.dialect.driver)
"""


def test_the_start_compiles_no_builder_of_an_address(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_builder = Rule._compile_builder

    def compile_and_note(rule: Rule, *args: Any) -> Any:
        compiled.append(rule.rule)
        return compile_builder(rule, *args)

    monkeypatch.setattr(Rule, "_compile_builder", compile_and_note)
    another = create_app(app.config["QIST"])
    assert set(compiled) <= {"/static/<path:filename>"}, "Flask adds this one itself"
    compiled.clear()
    with another.test_request_context():
        addresses = {url_for("plans.show", plan_id=7, page=2) for _ in range(2)}
    assert addresses == {"/plans/7?page=2"}
    assert compiled == ["/plans/<int:plan_id>"]


def test_a_web_worker_reads_no_file_of_formats_and_time_zones() -> None:
    run = subprocess.run([sys.executable, "-c", READ], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_deferred_module_loads_when_one_of_its_names_is_asked_for() -> None:
    run = subprocess.run([sys.executable, "-c", DEFER], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["[]", "Redis MemoryStorage asyncpg"]
