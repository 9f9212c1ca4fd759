"""Parsers of settings: a text becomes a value, or a ValueError names the accepted values."""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, urlsplit

SECRET_KEY_LENGTH = 32
SECRET_KEY_VARIETY = 8
EXAMPLE_WORDS = ("change", "example", "default", "secret", "password", "insecure", "development", "qist")
NETWORK_LOCATION = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")
"""Host and port of an address. It stands in links, mails and headers; a name in other letters has its xn-- form."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ON = ("1", "on", "true", "yes")
OFF = ("0", "off", "false", "no")


def choice(*accepted: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in accepted:
            raise ValueError("accepted: " + ", ".join(accepted))
        return text.lower()

    return parse


def integer(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"accepted: a whole number from {least} to {most}")
        return int(text)

    return parse


def boolean(text: str) -> bool:
    if text.lower() not in ON + OFF:
        raise ValueError("accepted: on, off")
    return text.lower() in ON


def host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", text):
        raise ValueError("accepted: an address or a host name, such as 127.0.0.1")
    return text


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def default_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def web_address(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        accepted = (
            f"accepted: an address such as {schemes[0]}://pay.example.org, without a path ({' or '.join(schemes)})"
        )
        parts = parse_url(text, accepted)
        if parts.scheme not in schemes or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(accepted)
        if parts.username or parts.password or not NETWORK_LOCATION.fullmatch(parts.netloc):
            raise ValueError(accepted)
        return f"{parts.scheme}://{parts.netloc}"

    return parse


def public_address(text: str) -> str:
    """https, or plain http on a loopback address: containers on one machine, before TLS is set up."""
    host = parse_url(text, "accepted: an address such as https://pay.example.org, without a path").hostname
    return web_address("https", "http")(text) if host in LOOPBACK else web_address("https")(text)


def origins(text: str) -> tuple[str, ...]:
    parse = web_address("https", "http")
    return tuple(parse(origin) for origin in re.split(r"[,\s]+", text) if origin)


def database_url(text: str) -> str:
    accepted = "accepted: postgresql://user:password@host:port/name (postgres:// and postgresql+psycopg:// too)"
    parts = parse_url(text, accepted)
    if parts.scheme not in ("postgres", "postgresql", "postgresql+psycopg") or "://" not in text:
        raise ValueError(accepted)
    if not parts.path.strip("/"):
        raise ValueError(accepted + ", with the name of a database")
    return "postgresql+psycopg://" + text.split("://", 1)[1]


def redis_url(text: str) -> str:
    accepted = "accepted: redis://host:port/0, rediss://host:port/0 or unix:///path/to/socket"
    parts = parse_url(text, accepted)
    target = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in ("redis", "rediss", "unix") or not target:
        raise ValueError(accepted)
    return text


def webhook_hosts(text: str) -> tuple[str, ...]:
    """Names of hosts in lower case; `*.` in front of one stands for every name below it."""
    hosts = tuple(host.lower() for host in re.split(r"[,\s]+", text) if host)
    if not all(re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)+", host) for host in hosts):
        raise ValueError("accepted: names of hosts, comma separated, such as hooks.example.org or *.example.org")
    return hosts


def breached_passwords(text: str) -> Path:
    """The path of a file of SHA-1 digests in hexadecimal, one a line."""
    try:
        with open(text, "rb") as file:
            line = file.readline(100)
    except OSError as error:
        raise ValueError(f"it can't be read: {error.strerror}") from None
    if not re.match(rb"[0-9A-Fa-f]{40}[:\r\n]", line):
        raise ValueError("accepted: a file of SHA-1 digests in hexadecimal, one a line, in order")
    return Path(text).absolute()


def remote_host(url: str | None) -> str | None:
    """The host of an address of a server that is reached over the network: no socket and no loopback address."""
    parts = urlsplit(url or "")
    if parts.scheme == "unix":
        return None
    options = parse_qs(parts.query)
    named = [parts.hostname, *options.get("host", []), *options.get("hostaddr", [])]
    hosts = [host for name in named if name for host in name.split(",")]
    return next((host for host in hosts if not host.startswith("/") and not is_loopback(host)), None)


def checks_certificate(url: str) -> bool:
    """Whether a connection to PostgreSQL or Valkey uses TLS and checks the server's certificate."""
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    if parts.scheme.startswith("postgres"):
        return options.get("sslmode", [""])[-1] in ("verify-full", "verify-ca")
    is_checked = options.get("ssl_cert_reqs", ["required"])[-1].lower() in ("required", "cert_required")
    return parts.scheme == "rediss" and is_checked and options.get("ssl_check_hostname", ["true"])[-1].lower() in ON


def parse_url(text: str, accepted: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(accepted) from None
    return parts


def secret_key(text: str) -> str:
    lowered = text.lower()
    if len(text) < SECRET_KEY_LENGTH or len(set(text)) < SECRET_KEY_VARIETY:
        raise ValueError(
            f"accepted: at least {SECRET_KEY_LENGTH} random characters, such as openssl rand -hex 32 prints"
        )
    if any(word in lowered for word in EXAMPLE_WORDS):
        raise ValueError("it looks like an example's; accepted: random characters, such as openssl rand -hex 32 prints")
    return text


def comma_separated(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def secret_keys(text: str) -> tuple[str, ...]:
    return tuple(secret_key(part) for part in comma_separated(text))


def sender(text: str) -> str:
    if not re.fullmatch(r"[^<>\r\n]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+", text):
        raise ValueError("accepted: an address such as pay@example.org or Shop <pay@example.org>")
    return text


def rate_limit(text: str) -> str:
    from limits import parse_many  # 2 MB that a worker and the scheduler do not need otherwise

    try:
        if any(limit.amount < 1 for limit in parse_many(text)):
            raise ValueError
    except ValueError:
        raise ValueError('accepted: limits such as "30 per minute;200 per hour"') from None
    return text


def log_level(text: str) -> str:
    return choice("debug", "info", "warning", "error", "critical")(text)
