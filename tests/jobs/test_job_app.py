"""A worker's application has no pages and no endpoints, and runs every job."""

import os
import subprocess
import sys
from collections import Counter

import pytest
from flask import Flask
from sqlalchemy import select

from portal.extensions import db
from portal.job_app import create_job_app
from portal.models import Email
from portal.services.mail import rendering
from tests.fixtures import people
from tests.fixtures.live import ROOT
from tests.fixtures.reminders import remind_on

RUN = """
import json, sys
from portal.job_app import create_job_app
from portal.jobs import tasks
from portal.jobs.schedule import SCHEDULE
with create_job_app().app_context():
    for entry in SCHEDULE:
        getattr(tasks, entry.job)()
UNNEEDED = ("portal.web", "portal.api.resources", "spectree", "whitenoise", "jwt", "reportlab", "cryptography.fernet",
            "flask_login", "limits", "prometheus_client")
print(json.dumps([name for name in UNNEEDED if name in sys.modules]))
"""


@pytest.mark.long
def test_a_worker_runs_every_periodic_job_without_pages_and_endpoints(app: Flask, database: str) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        first, _, _ = people.installments_of(people.a_plan(amal, first=-10))
        people.pay(first.id, omar)
        remind_on(amal, 0, hour=0)  # at any time of the day
        people.a_plan(amal, first=0)
        waiting = Counter(db.session.scalars(select(Email.state)))
        settings = app.config["QIST"]
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    environ |= {"PYTHONPATH": str(ROOT), "FLASK_SKIP_DOTENV": "1", "LOG_LEVEL": "error"}
    environ |= {"SECRET_KEY": settings.secret_key, "DATABASE_URL": settings.database_url}
    run = subprocess.run([sys.executable, "-c", RUN], env=environ, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.splitlines()[-1:]) == (0, ["[]"]), run.stdout + run.stderr
    with app.app_context():
        done = Counter(db.session.scalars(select(Email.state)))
    assert waiting == {"waiting": 1}, "the receipt"
    assert done == {"kept": 1, "waiting": 1}, "no mail server: the receipt is kept; a later job posts a reminder"


def test_a_worker_compiles_every_template_of_mails(app: Flask) -> None:
    """A filter that only the pages have ends a mail of a worker."""
    names = [str(path.relative_to(ROOT / "templates")) for path in (ROOT / "templates" / "mail").rglob("*.*")]
    with create_job_app(app.config["QIST"]).app_context():
        environment = rendering.environment()
        assert [environment.get_template(name).name for name in names if not name.endswith(".css")]
