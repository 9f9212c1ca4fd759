"""Sentences of `qist doctor`, which are English like the command line: by part and code of a finding."""

from collections.abc import Mapping
from typing import Any, Final

MAIL_SUBJECT: Final = "Test mail of Qist"
MAIL_TEXT: Final = "This mail shows that Qist can send mails."
SENTENCES: Final = {
    ("qist", "version"): "version %(version)s on Python %(python)s",
    ("public_url", "set"): "%(url)s",
    ("public_url", "loopback"): "%(url)s leads to this machine only, also in mails: set PUBLIC_URL",
    ("proxies", "trusted"): "TRUSTED_PROXIES=%(count)s",
    (
        "proxies",
        "none",
    ): "PUBLIC_URL is https, and TRUSTED_PROXIES=%(count)s: behind a proxy every client has its address",
    ("gateway", "simulated"): "simulated: no real money moves",
    ("gateway", "real"): "%(name)s",
    ("database", "version"): "PostgreSQL %(version)s, migrations up to date",
    ("database", "behind"): "migrations are not up to date: run qist db upgrade",
    ("database", "unreleased"): "made by an unreleased version: give DATABASE_URL= an empty database",
    ("database", "too_old"): "PostgreSQL %(version)s is older than 17, which Qist needs",
    ("database", "may_alter"): "the role of DATABASE_URL may alter tables, so the guards don't bind it: "
    "give the owner to DATABASE_OWNER_URL, and another role to DATABASE_URL",
    ("database", "owner_url"): "this process has DATABASE_OWNER_URL, which only qist db upgrade and backups need",
    (
        "database",
        "plain",
    ): "%(host)s may be reached without TLS, or be another server: add sslmode=verify-full to the address",
    ("database", "unreachable"): "does not answer: %(reason)s",
    ("database", "clock"): "its clock differs by %(seconds)s s: synchronise both machines (NTP)",
    ("valkey", "version"): "%(version)s",
    ("valkey", "not_configured"): "REDIS_URL is not set: no job runs, except by hand",
    ("valkey", "unreachable"): "does not answer: %(reason)s",
    ("valkey", "no_password"): "REDIS_URL has no password: who reaches Valkey can read and forge jobs",
    ("valkey", "plain"): "%(host)s is reached without TLS: use rediss:// in REDIS_URL",
    ("valkey", "evicts"): "maxmemory-policy is %(policy)s, which throws jobs away: set it to noeviction",
    ("valkey", "clock"): "its clock differs by %(seconds)s s: synchronise both machines (NTP)",
    ("database", "disk_full"): "has no room left on its disk",
    ("scheduler", "at_work"): "ticks",
    ("scheduler", "not_ticking"): "has not ticked for three intervals: start a scheduler",
    ("workers", "at_work"): "at work",
    ("workers", "no_worker"): "none reports: start a worker",
    ("workers", "worker_silent"): "one or more do not report: qist status has their names",
    ("mail", "server_away"): "mails wait for the mail server",
    ("smtp", "not_configured"): "SMTP_HOST is not set: mails are kept in the outbox",
    ("smtp", "set"): "%(host)s",
    ("smtp", "answers"): "%(host)s answers",
    ("smtp", "sent"): "a test mail to %(to)s was accepted",
    ("smtp", "plain"): "mails and SMTP_PASSWORD go to %(host)s without TLS: set SMTP_SECURITY=starttls or tls",
    ("smtp", "refused"): "%(host)s: %(reason)s",
}


def sentence(part: str, code: str, facts: Mapping[str, Any]) -> str:
    """A finding's sentence."""
    return SENTENCES[part, code] % facts
