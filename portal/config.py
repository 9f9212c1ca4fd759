"""Settings: environment variables, parsed into one typed, frozen object. No other module of portal/ parses them.

A missing or invalid value stops the start. The error lists every fault: the variable, its value (never a secret's) and
the accepted values. An empty value counts as not set, because Compose files and CI systems pass empty strings.
"""

import hmac
import ipaddress
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

from limits import parse_many

T = TypeVar("T")

SECRET_KEY_LENGTH = 32
SECRET_KEY_VARIETY = 8
EXAMPLE_WORDS = ("change", "example", "default", "secret", "password", "insecure", "development", "qist")
REQUIRED_IN_PRODUCTION = ("SECRET_KEY", "DATABASE_URL", "REDIS_URL")
PAYMENT_GATEWAYS = ("simulated",)
"""The accepted values of PAYMENT_GATEWAY. portal/gateways/payment/registry.py makes the gateway of each."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")

JSON_PREFIXES = ("/api/", "/auth/", "/token/")
"""The addresses of the JSON API, compared with a path that ends in a slash. gunicorn's worker reads them before it
forks, so they stand in a module that imports nothing of the application."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy of pages."""

ON = ("1", "on", "true", "yes")
OFF = ("0", "off", "false", "no")


class ConfigError(Exception):
    """The environment holds invalid settings. The message has one line for each, for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of this installation. A duration's unit is in its name or in a comment."""

    env: Literal["development", "production"]
    host: str
    port: int
    home: Path
    public_url: str
    database_url: str | None = field(repr=False)
    redis_url: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    email_confirmation: Literal["required", "off"]
    payment_gateway: str
    merchant_registration: Literal["approval", "open", "closed"]
    plan_acceptance: Literal["required", "off"]
    smtp_host: str | None
    smtp_port: int
    smtp_user: str | None
    smtp_password: str | None = field(repr=False)
    smtp_security: Literal["starttls", "tls", "none"]
    mail_from: str
    ratelimit_login: str
    ratelimit_register: str
    ratelimit_writes: str
    cors_origins: tuple[str, ...]
    access_token_minutes: int
    refresh_grace: int  # seconds
    refresh_rotation: bool
    retention_years: int
    security_event_days: int
    trusted_proxies: int
    web_threads: int
    web_workers: int
    hsts_subdomains: bool
    metrics_port: int | None
    metrics_address: str
    metrics_dir: Path
    log_level: str

    @property
    def production(self) -> bool:
        return self.env == "production"

    @property
    def outbox_token(self) -> str:
        """The token of the outbox of this installation, which only the terminal of `qist dev` shows."""
        return hmac.new((self.secret_key or "").encode(), b"qist outbox v1", "sha256").hexdigest()

    @property
    def contact(self) -> str:
        """The address of the operators, for people who can't go on by themselves: that of MAIL_FROM."""
        return parseaddr(self.mail_from)[1]

    @property
    def demo_logins_work(self) -> bool:
        """Whether demo accounts may sign in: only on a loopback address, and never in production."""
        return not self.production and _is_loopback(self.host)


def load(environ: Mapping[str, str]) -> Settings:
    """Parse Settings from a mapping such as os.environ. Raises ConfigError, which names every invalid variable."""
    reader = _Reader(environ)
    production = reader.value("QIST_ENV", "development", _choice("development", "production")) == "production"
    host = reader.value("HOST", "127.0.0.1", _host)
    port = reader.value("PORT", "8000", _integer(1, 65535))
    settings = Settings(
        env="production" if production else "development",
        host=host,
        port=port,
        home=Path(reader.text("QIST_HOME") or ".qist").expanduser().absolute(),
        public_url=reader.optional("PUBLIC_URL", _public_address if production else _web_address("https", "http"))
        or _default_url(host, port),
        database_url=reader.optional("DATABASE_URL", _database_url, secret=True),
        redis_url=reader.optional("REDIS_URL", _redis_url, secret=True),
        secret_key=reader.optional("SECRET_KEY", _secret_key if production else str, secret=True),
        email_confirmation=cast(
            'Literal["required", "off"]',
            reader.value("EMAIL_CONFIRMATION", "required" if production else "off", _choice("required", "off")),
        ),
        payment_gateway=reader.value("PAYMENT_GATEWAY", "simulated", _choice(*PAYMENT_GATEWAYS)),
        merchant_registration=cast(
            'Literal["approval", "open", "closed"]',
            reader.value(
                "MERCHANT_REGISTRATION", "approval" if production else "open", _choice("approval", "open", "closed")
            ),
        ),
        plan_acceptance=cast(
            'Literal["required", "off"]',
            reader.value("PLAN_ACCEPTANCE", "required" if production else "off", _choice("required", "off")),
        ),
        smtp_host=reader.text("SMTP_HOST"),
        smtp_port=reader.value("SMTP_PORT", "587", _integer(1, 65535)),
        smtp_user=reader.text("SMTP_USER"),
        smtp_password=reader.text("SMTP_PASSWORD"),
        smtp_security=cast(
            'Literal["starttls", "tls", "none"]',
            reader.value("SMTP_SECURITY", "starttls", _choice("starttls", "tls", "none")),
        ),
        mail_from=reader.value("MAIL_FROM", "Qist <qist@localhost>", _sender),
        ratelimit_login=reader.value("RATELIMIT_LOGIN", "30 per minute", _rate_limit),
        ratelimit_register=reader.value("RATELIMIT_REGISTER", "30 per minute;200 per hour", _rate_limit),
        ratelimit_writes=reader.value("RATELIMIT_WRITES", "3000 per minute", _rate_limit),
        cors_origins=reader.optional("CORS_ORIGINS", _origins) or (),
        access_token_minutes=reader.value("ACCESS_TOKEN_MINUTES", "15", _integer(1, 1440)),
        refresh_grace=reader.value("REFRESH_GRACE", "60", _integer(0, 600)),
        refresh_rotation=reader.value("REFRESH_ROTATION", "on", _boolean),
        retention_years=reader.value("RETENTION_YEARS", "10", _integer(1, 100)),
        security_event_days=reader.value("SECURITY_EVENT_DAYS", "365", _integer(30, 3660)),
        trusted_proxies=reader.value("TRUSTED_PROXIES", "0", _integer(0, 5)),
        web_threads=reader.value("WEB_THREADS", "8", _integer(1, 64)),
        web_workers=reader.value("WEB_WORKERS", "2" if production else "1", _integer(1, 64)),
        hsts_subdomains=reader.value("HSTS_SUBDOMAINS", "off", _boolean),
        metrics_port=reader.optional("METRICS_PORT", _integer(1, 65535)),
        metrics_address=reader.value("METRICS_ADDRESS", "127.0.0.1", _host),
        metrics_dir=Path(reader.text("METRICS_DIR") or f"{tempfile.gettempdir()}/qist-metrics-{os.geteuid()}"),
        log_level=reader.value("LOG_LEVEL", "info", _log_level),
    )
    if settings.metrics_port == port:
        reader.faults.append("METRICS_PORT: it is PORT, which is public; choose another")
    if production:
        for name in REQUIRED_IN_PRODUCTION:
            if not reader.text(name):
                reader.faults.append(f"{name}: not set; production needs it (only development starts its own servers)")
        if settings.email_confirmation == "required" and settings.smtp_host is None:
            reader.faults.append(
                "SMTP_HOST: not set; EMAIL_CONFIRMATION=required, the default of production, needs a mail server "
                "(EMAIL_CONFIRMATION=off lets anybody register with an email that is not theirs)"
            )
        if (reader.text("FLASK_DEBUG") or "0").lower() not in OFF:
            reader.faults.append(
                f"FLASK_DEBUG: {reader.text('FLASK_DEBUG')!r} is not accepted in production; leave it unset"
            )
    if settings.smtp_password and not settings.smtp_user:
        reader.faults.append("SMTP_USER: not set, though SMTP_PASSWORD is; set both or neither")
    if reader.faults:
        raise ConfigError("Qist can't start with this configuration:\n  " + "\n  ".join(reader.faults))
    return settings


def security_headers(settings: Settings) -> dict[str, str]:
    """The headers of every response. gunicorn's worker sends them, too, with its own responses."""
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if settings.production:
        subdomains = "; includeSubDomains" if settings.hsts_subdomains else ""
        headers["Strict-Transport-Security"] = f"max-age=31536000{subdomains}"
    return headers


class _Reader:
    """Parses variables and collects their faults, so that one start shows all of them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[str] = []

    def text(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def value(self, name: str, default: str, parse: Callable[[str], T]) -> T:
        parsed = self.optional(name, parse)
        return parse(default) if parsed is None else parsed

    def optional(self, name: str, parse: Callable[[str], T], *, secret: bool = False) -> T | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            shown = "its value" if secret else repr(text)
            self.faults.append(f"{name}: {shown} is not accepted; {error}")
            return None


def _choice(*accepted: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in accepted:
            raise ValueError("accepted: " + ", ".join(accepted))
        return text.lower()

    return parse


def _integer(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"accepted: a whole number from {least} to {most}")
        return int(text)

    return parse


def _boolean(text: str) -> bool:
    if text.lower() not in ON + OFF:
        raise ValueError("accepted: on, off")
    return text.lower() in ON


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", text):
        raise ValueError("accepted: an address or host name to listen on, such as 127.0.0.1 or 0.0.0.0")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _default_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _web_address(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        accepted = (
            f"accepted: an address such as {schemes[0]}://pay.example.org, without a path ({' or '.join(schemes)})"
        )
        parts = _parse_url(text, accepted)
        if parts.scheme not in schemes or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(accepted)
        if parts.username or parts.password:
            raise ValueError(accepted)
        return f"{parts.scheme}://{parts.netloc}"

    return parse


def _public_address(text: str) -> str:
    """https, or plain http on a loopback address: containers on one machine, before TLS is set up."""
    host = _parse_url(text, "accepted: an address such as https://pay.example.org, without a path").hostname
    return _web_address("https", "http")(text) if host in LOOPBACK else _web_address("https")(text)


def _origins(text: str) -> tuple[str, ...]:
    parse = _web_address("https", "http")
    return tuple(parse(origin) for origin in re.split(r"[,\s]+", text) if origin)


def _database_url(text: str) -> str:
    accepted = "accepted: postgresql://user:password@host:port/name (postgres:// and postgresql+psycopg:// too)"
    parts = _parse_url(text, accepted)
    if parts.scheme not in ("postgres", "postgresql", "postgresql+psycopg") or "://" not in text:
        raise ValueError(accepted)
    if not parts.path.strip("/"):
        raise ValueError(accepted + ", with the name of a database")
    return "postgresql+psycopg://" + text.split("://", 1)[1]


def _redis_url(text: str) -> str:
    accepted = "accepted: redis://host:port/0, rediss://host:port/0 or unix:///path/to/socket"
    parts = _parse_url(text, accepted)
    target = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in ("redis", "rediss", "unix") or not target:
        raise ValueError(accepted)
    return text


def _parse_url(text: str, accepted: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(accepted) from None
    return parts


def _secret_key(text: str) -> str:
    lowered = text.lower()
    if len(text) < SECRET_KEY_LENGTH or len(set(text)) < SECRET_KEY_VARIETY:
        raise ValueError(
            f"accepted: at least {SECRET_KEY_LENGTH} random characters, such as openssl rand -hex 32 prints"
        )
    if any(word in lowered for word in EXAMPLE_WORDS):
        raise ValueError("it looks like an example's; accepted: random characters, such as openssl rand -hex 32 prints")
    return text


def _sender(text: str) -> str:
    if not re.fullmatch(r"[^<>\r\n]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+", text):
        raise ValueError("accepted: an address such as pay@example.org or Shop <pay@example.org>")
    return text


def _rate_limit(text: str) -> str:
    try:
        parse_many(text)
    except ValueError:
        raise ValueError('accepted: limits such as "30 per minute;200 per hour"') from None
    return text


def _log_level(text: str) -> str:
    return _choice("debug", "info", "warning", "error", "critical")(text)
