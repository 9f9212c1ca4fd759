"""Settings: environment variables, parsed into one typed, frozen object. No other module of portal/ parses them.

A missing or invalid value stops the start. The error lists every fault: the variable, its value (never a secret's) and
the accepted values. An empty value counts as not set, because Compose files and CI systems pass empty strings.

Each of SECRETS may come from a file: NAME_FILE is its path, and NAME is not set then.
"""

import hmac
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, TypeVar, cast

from portal.config import parsers
from portal.config.parsers import LOOPBACK

T = TypeVar("T")

__all__ = [
    "JSON_PREFIXES",
    "LOOPBACK",
    "NEEDED_BY_SCHEDULER",
    "PAYMENT_GATEWAYS",
    "POLICY",
    "REQUIRED_IN_PRODUCTION",
    "ConfigError",
    "Settings",
    "load",
    "security_headers",
]

REQUIRED_IN_PRODUCTION = ("SECRET_KEY", "DATABASE_URL", "REDIS_URL")
SECRETS = ("SECRET_KEY", "SECRET_KEY_PREVIOUS", "DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SMTP_PASSWORD")
"""The settings whose values no error and no log shows, and that NAME_FILE may give."""
MAX_SECRET_BYTES = 65_536
NEEDED_BY_SCHEDULER = ("REDIS_URL",)
"""The scheduler serves nobody and reads no row, so its container gets no other secret."""
PAYMENT_GATEWAYS = ("simulated",)
"""The accepted values of PAYMENT_GATEWAY. portal/gateways/payment/registry.py makes the gateway of each."""

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
    database_owner_url: str | None = field(repr=False)
    redis_url: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    secret_keys_previous: tuple[str, ...] = field(repr=False)
    email_confirmation: Literal["required", "off"]
    payment_gateway: str
    merchant_registration: Literal["approval", "open", "closed"]
    plan_acceptance: Literal["required", "off"]
    operator_factor: Literal["required", "off"]
    member_factor: Literal["required", "off"]
    breached_passwords: Path | None
    webhook_hosts: tuple[str, ...]
    plain_connections: Literal["allowed", "refused"]
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
    def secret_keys(self) -> tuple[str, ...]:
        """SECRET_KEY, which signs, and the previous ones, whose signatures still count: newest first."""
        return (self.secret_key or "", *self.secret_keys_previous)

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
        return not self.production and parsers.is_loopback(self.host)


def load(environ: Mapping[str, str], *, needed: tuple[str, ...] = REQUIRED_IN_PRODUCTION) -> Settings:
    """Parse Settings from a mapping such as os.environ. Raises ConfigError, which names every invalid variable.

    `needed`: the settings that this process needs in production.
    """
    reader = _Reader(environ)
    reader.read_files()
    production = reader.value("QIST_ENV", "development", parsers.choice("development", "production")) == "production"
    host = reader.value("HOST", "127.0.0.1", parsers.host)
    port = reader.value("PORT", "8000", parsers.integer(1, 65535))
    settings = Settings(
        env="production" if production else "development",
        host=host,
        port=port,
        home=Path(reader.text("QIST_HOME") or ".qist").expanduser().absolute(),
        public_url=reader.optional(
            "PUBLIC_URL", parsers.public_address if production else parsers.web_address("https", "http")
        )
        or parsers.default_url(host, port),
        database_url=reader.optional("DATABASE_URL", parsers.database_url),
        database_owner_url=reader.optional("DATABASE_OWNER_URL", parsers.database_url),
        redis_url=reader.optional("REDIS_URL", parsers.redis_url),
        secret_key=reader.optional("SECRET_KEY", parsers.secret_key if production else str),
        secret_keys_previous=reader.optional(
            "SECRET_KEY_PREVIOUS", parsers.secret_keys if production else parsers.comma_separated
        )
        or (),
        email_confirmation=cast(
            'Literal["required", "off"]',
            reader.value("EMAIL_CONFIRMATION", "required" if production else "off", parsers.choice("required", "off")),
        ),
        payment_gateway=reader.value("PAYMENT_GATEWAY", "simulated", parsers.choice(*PAYMENT_GATEWAYS)),
        merchant_registration=cast(
            'Literal["approval", "open", "closed"]',
            reader.value(
                "MERCHANT_REGISTRATION",
                "approval" if production else "open",
                parsers.choice("approval", "open", "closed"),
            ),
        ),
        operator_factor=cast(
            'Literal["required", "off"]',
            reader.value(
                "OPERATOR_SECOND_FACTOR", "required" if production else "off", parsers.choice("required", "off")
            ),
        ),
        member_factor=cast(
            'Literal["required", "off"]',
            reader.value("MEMBER_SECOND_FACTOR", "off", parsers.choice("required", "off")),
        ),
        breached_passwords=reader.optional("BREACHED_PASSWORDS", parsers.breached_passwords),
        webhook_hosts=reader.optional("WEBHOOK_HOSTS", parsers.webhook_hosts) or (),
        plain_connections=cast(
            'Literal["allowed", "refused"]',
            reader.value("PLAIN_CONNECTIONS", "allowed", parsers.choice("allowed", "refused")),
        ),
        plan_acceptance=cast(
            'Literal["required", "off"]',
            reader.value("PLAN_ACCEPTANCE", "required" if production else "off", parsers.choice("required", "off")),
        ),
        smtp_host=reader.optional("SMTP_HOST", parsers.host),
        smtp_port=reader.value("SMTP_PORT", "587", parsers.integer(1, 65535)),
        smtp_user=reader.text("SMTP_USER"),
        smtp_password=reader.text("SMTP_PASSWORD"),
        smtp_security=cast(
            'Literal["starttls", "tls", "none"]',
            reader.value("SMTP_SECURITY", "starttls", parsers.choice("starttls", "tls", "none")),
        ),
        mail_from=reader.value("MAIL_FROM", "Qist <qist@localhost>", parsers.sender),
        ratelimit_login=reader.optional("RATELIMIT_LOGIN", parsers.rate_limit) or "30 per minute",
        ratelimit_register=reader.optional("RATELIMIT_REGISTER", parsers.rate_limit) or "30 per minute;200 per hour",
        ratelimit_writes=reader.optional("RATELIMIT_WRITES", parsers.rate_limit) or "3000 per minute",
        cors_origins=reader.optional("CORS_ORIGINS", parsers.origins) or (),
        access_token_minutes=reader.value("ACCESS_TOKEN_MINUTES", "15", parsers.integer(1, 1440)),
        refresh_grace=reader.value("REFRESH_GRACE", "60", parsers.integer(0, 600)),
        refresh_rotation=reader.value("REFRESH_ROTATION", "on", parsers.boolean),
        retention_years=reader.value("RETENTION_YEARS", "10", parsers.integer(1, 100)),
        security_event_days=reader.value("SECURITY_EVENT_DAYS", "365", parsers.integer(30, 3660)),
        trusted_proxies=reader.value("TRUSTED_PROXIES", "0", parsers.integer(0, 5)),
        web_threads=reader.value("WEB_THREADS", "8", parsers.integer(1, 64)),
        web_workers=reader.value("WEB_WORKERS", "2" if production else "1", parsers.integer(1, 64)),
        hsts_subdomains=reader.value("HSTS_SUBDOMAINS", "off", parsers.boolean),
        metrics_port=reader.optional("METRICS_PORT", parsers.integer(1, 65535)),
        metrics_address=reader.value("METRICS_ADDRESS", "127.0.0.1", parsers.host),
        metrics_dir=Path(reader.text("METRICS_DIR") or f"{tempfile.gettempdir()}/qist-metrics-{os.geteuid()}"),
        log_level=reader.value("LOG_LEVEL", "info", parsers.log_level),
    )
    if settings.metrics_port == port:
        reader.faults.append("METRICS_PORT: it is PORT, which is public; choose another")
    if production:
        for name in needed:
            if not reader.text(name) and name not in reader.unreadable:
                reader.faults.append(f"{name}: not set; production needs it (only development starts its own servers)")
        if settings.email_confirmation == "required" and settings.smtp_host is None:
            reader.faults.append(
                "SMTP_HOST: not set; EMAIL_CONFIRMATION=required, the default of production, needs a mail server "
                "(EMAIL_CONFIRMATION=off lets anybody register with an email that is not theirs)"
            )
        if (reader.text("FLASK_DEBUG") or "0").lower() not in parsers.OFF:
            reader.faults.append(
                f"FLASK_DEBUG: {reader.text('FLASK_DEBUG')!r} is not accepted in production; leave it unset"
            )
    if settings.plain_connections == "refused":
        reader.faults += _plain_connections(settings)
    if settings.smtp_password and not settings.smtp_user:
        reader.faults.append("SMTP_USER: not set, though SMTP_PASSWORD is; set both or neither")
    if reader.faults:
        raise ConfigError("Qist can't start with this configuration:\n  " + "\n  ".join(reader.faults))
    return settings


def _plain_connections(settings: Settings) -> list[str]:
    """Connections over the network that others could read or answer, for PLAIN_CONNECTIONS=refused."""
    faults = []
    for name, url, remedy in (
        ("DATABASE_URL", settings.database_url, "add sslmode=verify-full"),
        ("DATABASE_OWNER_URL", settings.database_owner_url, "add sslmode=verify-full"),
        ("REDIS_URL", settings.redis_url, "use rediss://, and let it check the certificate"),
    ):
        host = parsers.remote_host(url)
        if url is not None and host is not None and not parsers.checks_certificate(url):
            faults.append(f"{name}: {host} is reached without TLS or an unchecked certificate; {remedy}")
    if settings.smtp_security == "none" and settings.smtp_host and not parsers.is_loopback(settings.smtp_host):
        faults.append(f"SMTP_SECURITY: {settings.smtp_host} is reached without TLS; accepted: starttls, tls")
    return faults


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
        self.environ = dict(environ)
        self.faults: list[str] = []
        self.unreadable: list[str] = []

    def read_files(self) -> None:
        """Read each secret of which NAME_FILE has the path. An empty file counts as not set."""
        for name in SECRETS:
            path = self.text(f"{name}_FILE")
            if path is None:
                continue
            if self.text(name) is not None:
                self.faults.append(f"{name}: set, and {name}_FILE is set, too; set only one of them")
                continue
            try:
                with open(path, "rb") as file:
                    self.environ[name] = file.read(MAX_SECRET_BYTES).decode()
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
                self.faults.append(f"{name}_FILE: {path!r} can't be read: {reason}")
                self.unreadable.append(name)

    def text(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def value(self, name: str, default: str, parse: Callable[[str], T]) -> T:
        parsed = self.optional(name, parse)
        return parse(default) if parsed is None else parsed

    def optional(self, name: str, parse: Callable[[str], T]) -> T | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            shown = "its value" if name in SECRETS else repr(text)
            self.faults.append(f"{name}: {shown} is not accepted; {error}")
            return None
