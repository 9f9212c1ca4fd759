"""Mail: `message` builds the MIME message of a rendered mail, and `Server` sends it by SMTP."""

import io
import ipaddress
import re
import smtplib
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import idna

from portal.config import Settings
from portal.domain.typed_text import REFUSED

TIMEOUT: Final = 10.0
"""Time limit in seconds of each connection attempt, of the TLS handshake and of each reply of the server."""
MAX_SECONDS: Final = 25.0
"""Time limit in seconds of one mail, connection and all replies included. Then the connection counts as broken.

Name resolution counts as well, but can't be interrupted: the system's resolver limits it, usually to two attempts of
5 seconds for each name server."""

NAME_MAX: Final = 80
SUBJECT_MAX: Final = 200
ISOLATES: Final = "\u2068\u2069"
"""The marks around a name in a sentence from right to left (portal/wording/isolation.py)."""
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_NO_MAILBOX: Final = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1")


@dataclass(frozen=True, slots=True)
class Content:
    """The subject and the body of a mail, as text and as HTML."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """The headers of a mail. `on_behalf` is the name of the sending business; `sent_at` is an aware instant.

    `sender` is the From header's name for a business, with %(business)s and %(installation)s.
    """

    to: str
    message_id: str
    sent_at: datetime
    on_behalf: str | None = None
    reply_to: str | None = None
    unsubscribe_url: str | None = None
    sender: str = "%(business)s via %(installation)s"


class NotSent(Exception):
    """The server refused this mail. `for_good`: the mailbox does not exist, so a retry is useless.

    `code`: not_utf8 (the server can't send to such addresses), connection_broke or server_said; `detail`: the server's
    reply or the system's error.
    """

    def __init__(self, code: str, detail: str = "", *, for_good: bool = False) -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code = code
        self.detail = detail
        self.for_good = for_good


class ServerUnavailable(Exception):
    """The server can't be reached, or refuses the login. No single mail is the cause.

    `code`: login_refused or unreachable; `detail`: the server's code or the system's error.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code} {detail}")
        self.code = code
        self.detail = detail


def message(settings: Settings, content: Content, envelope: Envelope) -> EmailMessage:
    """The MIME message. Control characters are removed from names, so that no name can add a header."""
    name, address = parseaddr(settings.mail_from)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _address(_sender(name, envelope), address)
    mail["To"] = _address("", envelope.to)
    if envelope.reply_to:
        mail["Reply-To"] = _address(display_name(envelope.on_behalf or ""), envelope.reply_to)
    mail["Subject"] = subject_line(content.subject)
    mail["Date"] = format_datetime(envelope.sent_at)
    mail["Message-ID"] = envelope.message_id
    mail["Auto-Submitted"] = "auto-generated"
    if envelope.unsubscribe_url:
        mail["List-Unsubscribe"] = f"<{envelope.unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    mail.set_content(content.text, cte="quoted-printable")
    mail.add_alternative(content.html, subtype="html", cte="quoted-printable")
    return mail


def message_id(settings: Settings, dedupe_key: str) -> str:
    """The Message-ID of the mail with this key. It is the same at each attempt and in each process."""
    host = urlsplit(settings.public_url).hostname or "localhost"
    return f"<{dedupe_key.replace(':', '.')}@{f'[{host}]' if ':' in host else host}>"


def one_line(text: str, *, kept: str = "") -> str:
    """The text with a blank for every character that no typed text may hold, and no plain blanks in a row.

    `kept`: such characters that stay.
    """
    return re.sub(" +", " ", re.sub(f"[{REFUSED}]", lambda sign: sign[0] if sign[0] in kept else " ", text)).strip()


def subject_line(text: str, limit: int = SUBJECT_MAX) -> str:
    """The text as `one_line` makes it, of at most `limit` characters, with the isolates of the sentence around names.

    A cut leaves no isolate open, since a mail program may show the mail's beginning behind the subject.
    """
    line = one_line(text, kept=ISOLATES)[:limit]
    start, end = ISOLATES
    return line + end * (line.count(start) - line.count(end))


def display_name(name: str) -> str:
    """A business's name as a display name: without the characters of an address."""
    return one_line(re.sub(r"[<>@\"\\]", " ", one_line(name)))[:NAME_MAX].strip()


class _ReplyStream(io.RawIOBase):
    """The server's replies, readable until `end` of the monotonic clock. A socket's timeout restarts with each byte."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.end = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.sock.settimeout(_seconds_until(self.end))
        return self.sock.recv_into(buffer)


class _Connection(smtplib.SMTP):
    """A connection whose operations end at `end` of the monotonic clock, and each within TIMEOUT.

    Python applies the socket's timeout to a whole `sendall` and to a whole TLS handshake.
    """

    replies: _ReplyStream

    def __init__(self, end: float, host: str, port: int, name: str) -> None:
        self.end = end
        super().__init__(host, port, name)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connect to the first address that accepts. smtplib would allow each address the full time limit."""
        last_error = OSError("no address")
        for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                sock = socket.create_connection((str(address[0]), port), _seconds_until(self.end))
                return self._limited(sock)
            except OSError as error:
                last_error = error
        raise last_error

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None:
            if self.file is None:
                self.replies = _ReplyStream(self.sock)
                self.file = io.BufferedReader(self.replies)
            self.replies.end = min(self.end, time.monotonic() + TIMEOUT)
        reply = super().getreply()
        self._update_timeout()
        return reply

    def send(self, s: Any) -> None:
        self._update_timeout()
        super().send(s)

    def _update_timeout(self) -> None:
        """Past `end` the timeout is 10 ms, which still sends a QUIT."""
        if self.sock is not None:
            self._limited(self.sock)

    def _limited(self, sock: socket.socket) -> socket.socket:
        sock.settimeout(max(0.01, min(TIMEOUT, self.end - time.monotonic())))
        return sock


class _TlsConnection(smtplib.SMTP_SSL, _Connection):
    """A connection with implicit TLS."""

    def __init__(self, end: float, host: str, port: int, name: str, context: ssl.SSLContext) -> None:
        self.end = end
        smtplib.SMTP_SSL.__init__(self, host, port, name, context=context)


class Server:
    """One connection to the mail server. The first mail opens it, and the following mails use it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.smtp: _Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disconnect()

    def check(self) -> None:
        """Connect and sign in, without a mail. Raises ServerUnavailable."""
        if self.smtp is None:
            self._connect(time.monotonic() + MAX_SECONDS)

    def send(self, mail: EmailMessage, to: str) -> None:
        """Send one mail. Returns when the server has accepted it. Raises NotSent or ServerUnavailable.

        Any other exception closes the connection, a job's timeout included: a reply may be outstanding, and the next
        mail would read it as its own.
        """
        end = time.monotonic() + MAX_SECONDS
        smtp = self.smtp or self._connect(end)
        smtp.end = end
        to = _ascii_domain(to)
        utf8 = not to.isascii()
        if utf8 and not smtp.has_extn("smtputf8"):
            raise NotSent("not_utf8", for_good=True)
        sender = _ascii_domain(parseaddr(self.settings.mail_from)[1])
        try:
            data = mail.as_bytes(policy=SMTP.clone(utf8=utf8))
            smtp.sendmail(sender, [to], data, mail_options=["SMTPUTF8"] if utf8 else [])
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            if code == 421:
                self._disconnect()
            raise NotSent("server_said", _reply(code, reply), for_good=_no_such_mailbox(code, reply)) from None
        except smtplib.SMTPResponseException as error:
            if error.smtp_code == 421:
                self._disconnect()
            raise NotSent("server_said", _reply(error.smtp_code, error.smtp_error)) from None
        except (smtplib.SMTPException, OSError) as error:
            self._disconnect()
            raise NotSent("connection_broke", _reason(error)) from None
        except BaseException:
            smtp.close()
            self.smtp = None
            raise

    def _connect(self, end: float) -> _Connection:
        settings = self.settings
        assert settings.smtp_host  # noqa: S101 the caller checks it
        address = settings.smtp_host, settings.smtp_port, _ehlo_name(settings)
        smtp: _Connection | None = None
        try:
            if settings.smtp_security == "tls":
                smtp = _TlsConnection(end, *address, ssl.create_default_context())
            else:
                smtp = _Connection(end, *address)
            if settings.smtp_security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if settings.smtp_user:
                smtp.login(settings.smtp_user, settings.smtp_password or "")
            else:
                smtp.ehlo_or_helo_if_needed()
        except smtplib.SMTPAuthenticationError as error:
            self._close(smtp)
            raise ServerUnavailable("login_refused", str(error.smtp_code)) from None
        except (smtplib.SMTPException, OSError) as error:
            self._close(smtp)
            raise ServerUnavailable("unreachable", _reason(error)) from None
        self.smtp = smtp
        return smtp

    def _disconnect(self) -> None:
        self._close(self.smtp)
        self.smtp = None

    @staticmethod
    def _close(smtp: smtplib.SMTP | None) -> None:
        if smtp is not None:
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()
            smtp.close()


def _seconds_until(end: float) -> float:
    """Seconds until `end`, at most TIMEOUT. Raises TimeoutError if `end` has passed."""
    seconds = min(TIMEOUT, end - time.monotonic())
    if seconds <= 0:
        raise TimeoutError("it took too long")
    return seconds


def _address(name: str, address: str) -> Address:
    user, _, domain = _ascii_domain(address).rpartition("@")
    return Address(display_name=name, username=user, domain=domain)


def _sender(name: str, envelope: Envelope) -> str:
    business, name = display_name(envelope.on_behalf or ""), display_name(name)
    return envelope.sender % {"business": business, "installation": name} if business and name else business or name


def _ehlo_name(settings: Settings) -> str:
    """The name for EHLO: the host of PUBLIC_URL, so that no name is looked up. RFC 5321, 4.1.3 for address literals."""
    host = urlsplit(settings.public_url).hostname or "localhost"
    with suppress(ValueError):
        return f"[{'IPv6:' if ipaddress.ip_address(host).version == 6 else ''}{host}]"
    return host


def _ascii_domain(address: str) -> str:
    """The address with its domain in IDNA 2008's ASCII form. Python's codec "idna" maps ß to ss, another domain."""
    name, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    with suppress(idna.IDNAError):
        return f"{name}@{idna.encode(domain, uts46=True).decode()}"
    return address


def _no_such_mailbox(code: int, reply: bytes | str) -> bool:
    """Whether the refusal of a recipient says that the mailbox does not exist. Policy and relaying are 5.7.x.

    Enhanced status codes: RFC 3463. Without one, 550, 551 and 553 concern the mailbox (RFC 5321, 4.2.3).
    """
    status = _ENHANCED.match(_text(reply))
    return status[0] in _NO_MAILBOX if status is not None else code in (550, 551, 553)


def _reply(code: int, reply: bytes | str) -> str:
    return f"{code} {_text(reply)}"[:300].rstrip()


def _text(reply: bytes | str) -> str:
    return one_line(reply.decode(errors="replace") if isinstance(reply, bytes) else reply)


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"[:200]
    return one_line(str(error))[:200] or type(error).__name__
