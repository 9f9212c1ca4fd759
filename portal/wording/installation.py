"""Texts about the installation: problems of health and jobs that failed, by code."""

from typing import Final

from portal.wording.lazy import lazy_gettext as _l

PROBLEMS: Final = {
    "behind": "not up to date: run qist db upgrade",
    "newer": "those of a newer version",
    "unreleased": "the database was made by an unreleased version and can't be upgraded: "
    "set it aside with qist dev --set-aside, or give DATABASE_URL= an empty database",
    "too_old": "is older than PostgreSQL 17, which Qist needs",
    "unreachable": "does not answer",
    "disk_full": "has no room left on its disk",
    "no_database": "is missing on its server",
    "no_permission": "refuses a permission to Qist's role",
    "read_only": "takes no changes: the server is a standby or set to read only",
    "starting": "is starting",
    "stopping": "is stopping",
    "too_many_connections": "has no connection left",
    "wrong_password": "refuses the user or the password of DATABASE_URL",
    "not_configured": "not configured",
    "not_ticking": "has not ticked for three intervals",
    "no_worker": "none reports",
    "worker_silent": "one or more do not report",
    "server_away": "the mail server is away or refuses the login",
}
"""For the command line, which is English: by the code in portal/reports/operations/health.py."""
SENTENCES: Final = {
    ("database", "unreachable"): _l("Database does not answer"),
    ("database", "disk_full"): _l("Database has no room left on its disk"),
    ("database", "no_database"): _l("Database is missing on its server"),
    ("database", "no_permission"): _l("Database refuses a permission to Qist's role"),
    ("database", "read_only"): _l("Database takes no changes: the server is a standby or set to read only"),
    ("database", "starting"): _l("Database is starting"),
    ("database", "stopping"): _l("Database is stopping"),
    ("database", "too_many_connections"): _l("Database has no connection left"),
    ("database", "wrong_password"): _l("Database refuses the user or the password of DATABASE_URL"),
    ("database", "too_old"): _l("Database is older than PostgreSQL 17, which Qist needs"),
    ("migrations", "behind"): _l("Migrations not up to date: run qist db upgrade"),
    ("migrations", "newer"): _l("Migrations those of a newer version"),
    ("migrations", "unreleased"): _l(
        "Migrations the database was made by an unreleased version and can't be upgraded: "
        "set it aside with qist dev --set-aside, or give DATABASE_URL= an empty database"
    ),
    ("valkey", "unreachable"): _l("Valkey does not answer"),
    ("valkey", "not_configured"): _l("Valkey not configured"),
    ("scheduler", "not_ticking"): _l("Scheduler has not ticked for three intervals"),
    ("workers", "no_worker"): _l("No worker reports: mails, reminders and collections wait"),
    ("workers", "worker_silent"): _l("A worker is silent; the others do its work"),
    ("mail", "server_away"): _l("Mails wait: the mail server is away or refuses the login"),
}
"""For the operator's page, by part and code."""


def problem(part: str, code: str) -> str:
    """A problem of a part of the installation, for the operator's page."""
    return str(SENTENCES[part, code])


def refusal(state: str) -> str:
    """The English message with which `qist db upgrade`, `qist dev` and the start of a process refuse a database."""
    if state == "too_old":
        return f"The database {PROBLEMS[state]}. Upgrade PostgreSQL, or give DATABASE_URL= a newer one."
    if state == "newer":
        return "The database was made by a newer version of Qist, so this one can't upgrade it."
    return f"{PROBLEMS[state][0].upper()}{PROBLEMS[state][1:]}."
