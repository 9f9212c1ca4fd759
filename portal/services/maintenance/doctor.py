"""`qist doctor`: what of an installation is not as production needs it, by code. It changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import make_msgid
from platform import python_version
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from portal import __version__, logs
from portal.config import LOOPBACK, Settings, parsers
from portal.domain import clock
from portal.extensions import db
from portal.gateways import email, payment
from portal.reports.operations import health, revisions, roles
from portal.valkey import connections

MAX_SKEW_SECONDS: Final = 2.0
"""Difference of two machines' clocks from which lateness, leases and tokens go wrong."""

Level = Literal["ok", "warning", "error"]
LEVELS: Final[dict[str, Level]] = {"at_work": "ok", "worker_silent": "warning"}
"""Levels of codes of the scheduler and the workers; any other is an error."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. portal/wording/doctor.py has the sentence of each part and code, with the facts in it."""

    part: str
    code: str
    level: Level = "ok"
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SampleMail:
    """A mail to show that the mail server takes mails."""

    to: str
    subject: str
    text: str


def examine(*, at_start: bool = False, mail: SampleMail | None = None) -> list[Finding]:
    """All findings. Unless `at_start` ask who works, connect to the mail server, sign in, and send `mail`."""
    settings: Settings = current_app.config["QIST"]
    found = [Finding("qist", "version", facts={"version": __version__, "python": python_version()})]
    found += _public_url(settings)
    found += _proxies(settings)
    found += _gateway(settings)
    found += _database(settings)
    found += _valkey(settings)
    found += [] if at_start else _work()
    found += _mail_server(settings, ask=not at_start, mail=mail)
    return found


def _public_url(settings: Settings) -> Iterator[Finding]:
    facts = {"url": settings.public_url}
    if urlsplit(settings.public_url).hostname in LOOPBACK:
        yield Finding("public_url", "loopback", "error" if settings.production else "warning", facts)
    else:
        yield Finding("public_url", "set", facts=facts)


def _proxies(settings: Settings) -> Iterator[Finding]:
    """Behind TLS a proxy forwards every request. What it sends is not seen here, but the setting is."""
    facts = {"count": settings.trusted_proxies}
    if settings.public_url.startswith("https:") and settings.trusted_proxies == 0:
        yield Finding("proxies", "none", "warning" if settings.production else "ok", facts)
    else:
        yield Finding("proxies", "trusted", facts=facts)


def _gateway(settings: Settings) -> Iterator[Finding]:
    if payment.active().is_simulated:
        yield Finding("gateway", "simulated", "warning" if settings.production else "ok")
    else:
        yield Finding("gateway", "real", facts={"name": settings.payment_gateway})


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        with db.engine.connect() as connection:
            state, before = revisions.state(connection), clock.now()
            version = ".".join(map(str, revisions.server_version(connection)))
            theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    except SQLAlchemyError as error:
        yield Finding("database", "unreachable", "error", {"reason": logs.database_facts(error)["reason"]})
        return
    if state in ("current", "newer"):
        yield Finding("database", "version", facts={"version": version})
    else:
        yield Finding("database", state, "error", {"version": version})
    if roles.may_alter():
        yield Finding("database", "may_alter", "warning" if settings.production else "ok")
    url = settings.database_url or ""
    if settings.production and (host := _elsewhere(url)) and not parsers.checks_certificate(url):
        yield Finding("database", "plain", "warning", {"host": host})
    if settings.production and settings.database_owner_url:
        yield Finding("database", "owner_url", "warning")
    yield from _skew("database", (theirs - before).total_seconds())


def _valkey(settings: Settings) -> Iterator[Finding]:
    if not settings.redis_url:
        yield Finding("valkey", "not_configured", "warning")
        return
    connection = connections.for_requests(settings.redis_url)
    try:
        info, before = connection.info(), clock.now().timestamp()
        seconds, microseconds = connection.time()
    except (RedisError, OSError) as error:
        yield Finding("valkey", "unreachable", "error", {"reason": str(error)})
        return
    yield Finding("valkey", "version", facts={"version": info.get("valkey_version") or info.get("redis_version")})
    parts = urlsplit(settings.redis_url)
    if parts.scheme != "unix" and parts.password is None:
        yield Finding("valkey", "no_password", "warning" if settings.production else "ok")
    url = settings.redis_url
    if settings.production and (host := _elsewhere(url)) and not parsers.checks_certificate(url):
        yield Finding("valkey", "plain", "warning", {"host": host})
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield Finding("valkey", "evicts", "error", {"policy": policy})
    yield from _skew("valkey", seconds + microseconds / 1_000_000 - before)


def _work() -> Iterator[Finding]:
    """Findings of the scheduler, the workers, mails and the disk: the same as /readyz and `qist status`."""
    degraded = health.check(thorough=True).degraded
    if "valkey" not in degraded:
        for part in ("scheduler", "workers"):
            code = degraded.get(part, "at_work")
            yield Finding(part, code, LEVELS.get(code, "error"))
    if "mail" in degraded:
        yield Finding("mail", degraded["mail"], "warning")
    if "database" in degraded:
        yield Finding("database", degraded["database"], "error")


def _elsewhere(url: str | None) -> str | None:
    """The host of an address, if it is on another machine."""
    host = parsers.remote_host(url)
    return host if host and _is_elsewhere(host) else None


def _is_elsewhere(host: str) -> bool:
    """Whether the host is another machine. A name without a dot belongs to this one, such as a container's."""
    return not parsers.is_loopback(host) and ("." in host or ":" in host)


def _skew(part: str, seconds: float) -> Iterator[Finding]:
    if abs(seconds) > MAX_SKEW_SECONDS:
        yield Finding(part, "clock", "error", {"seconds": f"{seconds:+.1f}"})


def _mail_server(settings: Settings, *, ask: bool, mail: SampleMail | None) -> Iterator[Finding]:
    if settings.smtp_host is None:
        yield Finding("smtp", "not_configured", "warning" if settings.production else "ok")
        return
    facts = {"host": settings.smtp_host}
    if settings.production and settings.smtp_security == "none" and _is_elsewhere(settings.smtp_host):
        yield Finding("smtp", "plain", "warning", facts)
    if not ask:
        yield Finding("smtp", "set", facts=facts)
        return
    try:
        with email.Server(settings) as server:
            if mail is None:
                server.check()
                yield Finding("smtp", "answers", facts=facts)
            else:
                server.send(_message(settings, mail), mail.to)
                yield Finding("smtp", "sent", facts={"to": mail.to})
    except (email.ServerUnavailable, email.NotSent) as error:
        yield Finding("smtp", "refused", "error", facts | {"reason": str(error)})


def _message(settings: Settings, mail: SampleMail) -> EmailMessage:
    content = email.Content(mail.subject, mail.text, f"<p>{mail.text}</p>")
    envelope = email.Envelope(to=mail.to, message_id=make_msgid(domain="qist.invalid"), sent_at=clock.now())
    return email.message(settings, content, envelope)
