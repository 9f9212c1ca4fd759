"""A mail server that catches what it is sent: a real one, on a port of its own, that can also refuse, hang and stop."""

import dataclasses
import functools
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Self

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from flask import Flask

from portal.extensions import db
from portal.models import Outbox
from tests.live import free_port

LOGIN = ("qist", "a mail password")


class Catcher:
    """`mails` is what was taken, in order. `answer(recipient)` may refuse one ("550 5.1.1 nobody of this name").

    `security` is none, starttls or tls; with `login` nobody may send without LOGIN. `pause` are seconds between having
    a mail and saying so.
    """

    def __init__(self, security: str = "none", *, login: bool = False, port: int | None = None) -> None:
        self.security, self.login, self.port = security, login, port or free_port()
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.connections = 0
        self.answer: Callable[[str], str | None] = lambda recipient: None
        self.at_data: Callable[[EmailMessage], str | None] = lambda mail: None
        self.pause = 0.0
        self._lock = threading.Lock()

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, lines: list[str]) -> list[str]:
        session.host_name = hostname
        with self._lock:
            self.connections += 1
        return lines

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if (refusal := self.answer(address)) is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=default)
        if (refusal := self.at_data(mail)) is not None:
            return refusal
        with self._lock:
            self.mails.append(mail)
            self.recipients += envelope.rcpt_tos
        if self.pause:
            time.sleep(self.pause)
        return "250 taken"

    def __enter__(self) -> Self:
        options: dict[str, Any] = {"ssl_context": _context()} if self.security == "tls" else {}
        smtp: dict[str, Any] = {}
        if self.security == "starttls":
            smtp |= {"tls_context": _context(), "require_starttls": True}
        if self.login:
            smtp |= {"authenticator": _check, "auth_required": True, "auth_require_tls": self.security == "starttls"}
        self._controller = Controller(self, "localhost", self.port, **smtp, **options)
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def ids(self) -> list[str]:
        return [mail["Message-ID"] for mail in self.mails]


def _check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == LOGIN
    return AuthResult(success=right, handled=False)


@functools.cache
def authority() -> trustme.CA:
    """Who vouches for the catcher, to those who are told to trust it."""
    return trustme.CA()


def authority_in(folder: Path) -> Path:
    """The authority's certificate as a file."""
    authority().cert_pem.write_to_path(folder / "authority.pem")
    return folder / "authority.pem"


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost").configure_cert(context)
    return context


@contextmanager
def sending(app: Flask, catcher: Catcher | None, **more: Any) -> Iterator[None]:
    """Meanwhile the app sends its mail to this catcher, or keeps it (None)."""
    before = app.config["QIST"]
    smtp: dict[str, Any] = {"smtp_host": None}
    if catcher is not None:
        smtp = {"smtp_host": "localhost", "smtp_port": catcher.port, "smtp_security": catcher.security}
        smtp |= dict(zip(("smtp_user", "smtp_password"), LOGIN, strict=True)) if catcher.login else {}
    app.config["QIST"] = dataclasses.replace(before, **(smtp | more))
    try:
        yield
    finally:
        app.config["QIST"] = before


def outbox() -> list[Outbox]:
    """Every mail as it is now, oldest first."""
    db.session.rollback()
    found = db.select(Outbox).order_by(Outbox.id).execution_options(populate_existing=True)
    return list(db.session.scalars(found))


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())
