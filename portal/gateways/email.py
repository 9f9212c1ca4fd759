"""Mail: plain facts become a letter, and a letter goes to an SMTP server. No row enters, and nobody is asked anything.

`compose` takes the words from templates/mail/<kind>.txt (whose first line is the subject) and <kind>.html, with the
style sheet written into each element, because mail programs drop what stands apart.
"""

import io
import ipaddress
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from portal.config import Settings

TIMEOUT: Final = 10.0
"""Seconds that the mail server may take for each of its addresses to connect to, for TLS, and for each answer."""
LONGEST: Final = 25.0
"""Seconds that one mail may take in all, connecting and every answer included, however slowly they drip in. Then its
connection counts as broken. Looking up the server's name counts, but nothing here can end it: while its name servers
are silent, the system's resolver decides (usually 5 seconds and two tries for each of them)."""
TEMPLATES: Final = Path(__file__).resolve().parents[2] / "templates"

NAME_MAX: Final = 80
SUBJECT_MAX: Final = 200
_SUBJECT = "Subject: "
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_NO_MAILBOX: Final = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1")
_inliner = CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
_templates = Environment(
    loader=FileSystemLoader([TEMPLATES, TEMPLATES / "mail", TEMPLATES / "mail" / "payments"]),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Letter:
    """What a person reads: the same in two forms."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who it is for and from. `on_behalf` is the business in whose name it is written, `sent_at` is aware."""

    to: str
    message_id: str
    sent_at: datetime
    on_behalf: str | None = None
    reply_to: str | None = None
    unsubscribe_url: str | None = None


class NotSent(Exception):
    """The server did not take this mail. `for_good`: there is no such mailbox, so trying again is no use."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good


class Away(Exception):
    """There is no server to talk to: it does not answer, or it does not let us in. No mail of ours is at fault."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def compose(kind: str, facts: Mapping[str, Any]) -> Letter:
    """The letter of this kind. Raises jinja2's errors when a fact is missing."""
    written = _templates.get_template(f"{kind}.txt").render(facts).replace("\u00a0", " ").strip()
    first, _, rest = written.partition("\n")
    subject = one_line(first.removeprefix(_SUBJECT))[:SUBJECT_MAX]
    text = re.sub(r"\n{3,}", "\n\n", rest.strip()) + "\n"
    html = _templates.get_template(f"{kind}.html").render(facts, subject=subject)
    return Letter(subject, text, _inliner.inline(html))


def message(settings: Settings, letter: Letter, envelope: Envelope) -> EmailMessage:
    """The letter as it travels. Names that people chose can't add a header: what is no printable character goes."""
    name, address = parseaddr(settings.mail_from)
    made = EmailMessage(policy=SMTP)
    made["From"] = _address(_sender(name, envelope.on_behalf), address)
    made["To"] = _address("", envelope.to)
    if envelope.reply_to:
        made["Reply-To"] = _address(display_name(envelope.on_behalf or ""), envelope.reply_to)
    made["Subject"] = one_line(letter.subject)
    made["Date"] = format_datetime(envelope.sent_at)
    made["Message-ID"] = envelope.message_id
    made["Auto-Submitted"] = "auto-generated"
    if envelope.unsubscribe_url:
        made["List-Unsubscribe"] = f"<{envelope.unsubscribe_url}>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    made.set_content(letter.text, cte="quoted-printable")
    made.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    return made


def message_id(settings: Settings, dedupe_key: str) -> str:
    """The Message-ID that a mail with this key has at every try, wherever it is sent from."""
    host = urlsplit(settings.public_url).hostname or "localhost"
    return f"<{dedupe_key.replace(':', '.')}@{f'[{host}]' if ':' in host else host}>"


def one_line(text: str) -> str:
    """Without line ends, control characters and marks that turn the direction of writing."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in text).split())


def display_name(name: str) -> str:
    """A business's name as a mail program may show it: nothing in it looks like an address."""
    return one_line(re.sub(r"[<>@\"\\]", " ", one_line(name)))[:NAME_MAX].strip()


class _Incoming(io.RawIOBase):
    """What the server says, until `end` of the monotonic clock. A socket's own timeout begins anew with each byte."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.end = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.sock.settimeout(_left(self.end))
        return self.sock.recv_into(buffer)


class _Conversation(smtplib.SMTP):
    """A connection that waits for nothing past `end` (of the monotonic clock), nor longer than TIMEOUT for one thing.

    Sending and the TLS handshake are over within the socket's timeout, however many pieces they come in.
    """

    incoming: _Incoming

    def __init__(self, end: float, host: str, port: int, name: str) -> None:
        self.end = end
        super().__init__(host, port, name)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """The first of the server's addresses that answers; smtplib would give each of them all the time."""
        failed = OSError("no address")
        for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                sock = socket.create_connection((str(address[0]), port), _left(self.end))
                return self._hurried(sock)
            except OSError as error:
                failed = error
        raise failed

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None:
            if self.file is None:
                self.incoming = _Incoming(self.sock)
                self.file = io.BufferedReader(self.incoming)
            self.incoming.end = min(self.end, time.monotonic() + TIMEOUT)
        said = super().getreply()
        self._hurry()
        return said

    def send(self, s: Any) -> None:
        self._hurry()
        super().send(s)

    def _hurry(self) -> None:
        """When the time is over this lets a farewell out that takes no waiting; whoever waits for an answer is told."""
        if self.sock is not None:
            self._hurried(self.sock)

    def _hurried(self, sock: socket.socket) -> socket.socket:
        sock.settimeout(max(0.01, min(TIMEOUT, self.end - time.monotonic())))
        return sock


class _TlsConversation(smtplib.SMTP_SSL, _Conversation):
    """The same, over TLS from the beginning."""

    def __init__(self, end: float, host: str, port: int, name: str, context: ssl.SSLContext) -> None:
        self.end = end
        smtplib.SMTP_SSL.__init__(self, host, port, name, context=context)


class Server:
    """One connection to the mail server, opened when the first mail needs it and used for all that follow."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.smtp: _Conversation | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def send(self, made: EmailMessage, to: str) -> None:
        """Hand one mail over. Returns when the server has taken it. Raises NotSent or Away.

        Whatever else is raised in the middle, "your time is up" too, ends the connection: it may stand anywhere, and
        the next mail would take the answer to this one for its own.
        """
        end = time.monotonic() + LONGEST
        smtp = self.smtp or self._connect(end)
        smtp.end = end
        to = _ascii_domain(to)
        utf8 = not to.isascii()
        if utf8 and not smtp.has_extn("smtputf8"):
            raise NotSent("The mail server can't send to addresses with such letters.", for_good=True)
        sender = _ascii_domain(parseaddr(self.settings.mail_from)[1])
        try:
            data = made.as_bytes(policy=SMTP.clone(utf8=utf8))
            smtp.sendmail(sender, [to], data, mail_options=["SMTPUTF8"] if utf8 else [])
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            if code == 421:
                self._hang_up()
            raise NotSent(_said(code, reply), for_good=_no_such_mailbox(code, reply)) from None
        except smtplib.SMTPResponseException as error:
            if error.smtp_code == 421:
                self._hang_up()
            raise NotSent(_said(error.smtp_code, error.smtp_error)) from None
        except (smtplib.SMTPException, OSError) as error:
            self._hang_up()
            raise NotSent(f"The connection broke: {_why(error)}") from None
        except BaseException:
            smtp.close()
            self.smtp = None
            raise

    def _connect(self, end: float) -> _Conversation:
        settings = self.settings
        assert settings.smtp_host  # noqa: S101 whoever has none does not come here
        where = settings.smtp_host, settings.smtp_port, _greeting(settings)
        smtp: _Conversation | None = None
        try:
            if settings.smtp_security == "tls":
                smtp = _TlsConversation(end, *where, ssl.create_default_context())
            else:
                smtp = _Conversation(end, *where)
            if settings.smtp_security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if settings.smtp_user:
                smtp.login(settings.smtp_user, settings.smtp_password or "")
            else:
                smtp.ehlo_or_helo_if_needed()
        except smtplib.SMTPAuthenticationError as error:
            self._close(smtp)
            raise Away(f"The mail server refuses the login ({error.smtp_code}).") from None
        except (smtplib.SMTPException, OSError) as error:
            self._close(smtp)
            raise Away(f"The mail server can't be reached: {_why(error)}") from None
        self.smtp = smtp
        return smtp

    def _hang_up(self) -> None:
        self._close(self.smtp)
        self.smtp = None

    @staticmethod
    def _close(smtp: smtplib.SMTP | None) -> None:
        if smtp is not None:
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()
            smtp.close()


def _left(end: float) -> float:
    """Seconds until then, at most TIMEOUT. Raises TimeoutError when there are none."""
    seconds = min(TIMEOUT, end - time.monotonic())
    if seconds <= 0:
        raise TimeoutError("it took too long")
    return seconds


def _address(name: str, address: str) -> Address:
    user, _, domain = _ascii_domain(address).rpartition("@")
    return Address(display_name=name, username=user, domain=domain)


def _sender(name: str, on_behalf: str | None) -> str:
    business, name = display_name(on_behalf or ""), display_name(name)
    return f"{business} via {name}" if business and name else business or name


def _greeting(settings: Settings) -> str:
    """How we name ourselves to the server: the host that people reach us at, so that no name has to be looked up."""
    host = urlsplit(settings.public_url).hostname or "localhost"
    with suppress(ValueError):
        return f"[{'IPv6:' if ipaddress.ip_address(host).version == 6 else ''}{host}]"
    return host


def _ascii_domain(address: str) -> str:
    name, _, domain = address.rpartition("@")
    with suppress(UnicodeError):
        return f"{name}@{domain.encode('idna').decode()}"
    return address


def _no_such_mailbox(code: int, reply: bytes | str) -> bool:
    """Whether a refusal of the recipient is about the address, and not about us (policy and relaying, 5.7.x).

    Enhanced status codes: RFC 3463. Without one, 550, 551 and 553 are about the mailbox (RFC 5321, 4.2.3).
    """
    found = _ENHANCED.match(_text(reply))
    return found[0] in _NO_MAILBOX if found is not None else code in (550, 551, 553)


def _said(code: int, reply: bytes | str) -> str:
    return f"The mail server said: {code} {_text(reply)}"[:300].rstrip()


def _text(reply: bytes | str) -> str:
    return one_line(reply.decode(errors="replace") if isinstance(reply, bytes) else reply)


def _why(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"[:200]
    return one_line(str(error))[:200] or type(error).__name__
