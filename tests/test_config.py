"""`load` makes Settings of the environment, or raises one error that names every fault."""

import re
from pathlib import Path

import pytest

from portal.config import SECRETS, ConfigError, load

ROOT = Path(__file__).parent.parent
STRONG = "9f2c41d7a08be3566d1c0f7e92ab8345c6d7e8f901a2b3c4"
PRODUCTION = {
    "QIST_ENV": "production",
    "SECRET_KEY": STRONG,
    "DATABASE_URL": "postgres://u:hidden-word@db/shop",
    "REDIS_URL": "redis://valkey:6379/0",
    "SMTP_HOST": "mail.example.org",
}


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as raised:
        load(environ)
    return str(raised.value)


def test_an_empty_environment_gives_the_defaults_of_a_laptop() -> None:
    settings = load({})
    assert (settings.env, settings.host, settings.port) == ("development", "127.0.0.1", 8000)
    assert settings.home == Path.cwd() / ".qist"
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.database_url is settings.redis_url is settings.secret_key is None
    assert (settings.web_workers, settings.refresh_rotation, settings.cors_origins) == (1, True, ())


def test_an_empty_string_is_not_set() -> None:
    names = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert load(dict.fromkeys(names, " ")) == load({})


def test_the_example_holds_the_defaults_and_the_same_names_as_config() -> None:
    lines = re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    source = (ROOT / "portal" / "config" / "__init__.py").read_text()
    read = set(re.findall(r'reader\.(?:value|optional|text)\(\s*"([A-Z_]+)"', source)) - {"FLASK_DEBUG"}
    assert {name for name, _ in lines} == read
    assert load(dict(lines)) == load({})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_any_spelling_of_a_database_address_reaches_psycopg(scheme: str) -> None:
    assert load({"DATABASE_URL": f"{scheme}://u:p@h/d"}).database_url == "postgresql+psycopg://u:p@h/d"
    assert load({"DATABASE_URL": f"{scheme}:///d?host=/s"}).database_url == "postgresql+psycopg:///d?host=/s"


@pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://h/1", "unix:///tmp/valkey.sock"])
def test_addresses_of_valkey(url: str) -> None:
    assert load({"REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QIST_ENV", "prod"),
        ("HOST", "a b"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "80a"),
        ("PORT", "٨٠٠٠"),
        ("PUBLIC_URL", "shop.example.org"),
        ("PUBLIC_URL", "https://shop.example.org/pay"),
        ("PUBLIC_URL", "https://[half"),
        ("PUBLIC_URL", "https://shop example.org"),
        ("PUBLIC_URL", 'https://"><script>'),
        ("PUBLIC_URL", "https://läden.example.org"),
        ("CORS_ORIGINS", "https://*.example.org"),
        ("SMTP_HOST", "mail example.org"),
        ("PLAN_ACCEPTANCE", "on"),
        ("PAYMENT_GATEWAY", "stripe"),
        ("SMTP_PORT", "-1"),
        ("SMTP_SECURITY", "ssl"),
        ("MAIL_FROM", "nobody"),
        ("EMAIL_CONFIRMATION", "sometimes"),
        ("RATELIMIT_LOGIN", "many"),
        ("RATELIMIT_LOGIN", "0 per minute"),
        ("RATELIMIT_REGISTER", "3 per fortnight"),
        ("RATELIMIT_WRITES", "lots"),
        ("CORS_ORIGINS", "https://ok.example.org, *"),
        ("ACCESS_TOKEN_MINUTES", "0"),
        ("REFRESH_GRACE", "601"),
        ("REFRESH_ROTATION", "sometimes"),
        ("RETENTION_YEARS", "0"),
        ("SECURITY_EVENT_DAYS", "29"),
        ("TRUSTED_PROXIES", "6"),
        ("WEB_THREADS", "0"),
        ("WEB_WORKERS", "65"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_an_invalid_value_is_named_with_the_accepted_ones(name: str, value: str) -> None:
    text = refusal({name: value})
    assert f"{name}: {value!r} is not accepted; accepted: " in text


@pytest.mark.parametrize("url", ["mysql://u:hidden-word@h/d", "sqlite:///hidden-word", "postgres://u:hidden-word@h"])
def test_a_bad_database_address_is_named_without_its_password(url: str) -> None:
    text = refusal({"DATABASE_URL": url})
    assert "DATABASE_URL: its value is not accepted; accepted: postgresql://" in text
    assert "hidden-word" not in text


@pytest.mark.parametrize("url", ["valkey+unix:///s", "http://h", "redis://", "unix://", "redis://h:port"])
def test_a_bad_valkey_address_is_named(url: str) -> None:
    assert "REDIS_URL: its value is not accepted" in refusal({"REDIS_URL": url})


def test_all_faults_are_named_at_once() -> None:
    text = refusal({"PORT": "x", "LOG_LEVEL": "y", "REFRESH_GRACE": "z"})
    assert [line.split(":")[0].strip() for line in text.splitlines()[1:]] == ["PORT", "REFRESH_GRACE", "LOG_LEVEL"]


def test_a_password_without_a_user_is_refused() -> None:
    text = refusal({"SMTP_PASSWORD": "hidden-word"})
    assert "SMTP_USER: not set" in text and "hidden-word" not in text


def test_production_accepts_the_required_settings() -> None:
    settings = load(PRODUCTION)
    assert settings.production and settings.web_workers == 2
    assert load({**PRODUCTION, "PUBLIC_URL": "https://shop.example.org/"}).public_url == "https://shop.example.org"


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "REDIS_URL"])
def test_production_refuses_to_start_without(name: str) -> None:
    assert f"{name}: not set; production needs it" in refusal({**PRODUCTION, name: ""})


@pytest.mark.parametrize(
    "key", ["short", "a" * 64, "change-me-" + STRONG, "an-example-0123456789abcdefghijklmnopq", "ababababab" * 6]
)
def test_production_refuses_weak_and_example_keys_without_showing_them(key: str) -> None:
    text = refusal({**PRODUCTION, "SECRET_KEY": key})
    assert "SECRET_KEY: its value is not accepted" in text
    assert key not in text


def test_production_refuses_debug_and_plain_http() -> None:
    assert "FLASK_DEBUG: '1'" in refusal({**PRODUCTION, "FLASK_DEBUG": "1"})
    assert load({**PRODUCTION, "FLASK_DEBUG": "0"}).production
    assert "PUBLIC_URL: 'http://shop.example.org'" in refusal({**PRODUCTION, "PUBLIC_URL": "http://shop.example.org"})


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_production_accepts_plain_http_on_a_loopback_address(url: str) -> None:
    assert load({**PRODUCTION, "PUBLIC_URL": url}).public_url == url


@pytest.mark.parametrize("url", ["http://127.0.0.1.example.org", "http://localhost@example.org", "http://0.0.0.0:8000"])
def test_production_refuses_plain_http_on_any_other_address(url: str) -> None:
    assert f"PUBLIC_URL: {url!r} is not accepted" in refusal({**PRODUCTION, "PUBLIC_URL": url})


def test_secrets_are_not_in_the_representation() -> None:
    text = repr(load({**PRODUCTION, "SMTP_USER": "u", "SMTP_PASSWORD": "hidden-word"}))
    assert STRONG not in text and "hidden-word" not in text


def test_emails_are_confirmed_in_production_and_not_on_a_laptop() -> None:
    assert load({}).email_confirmation == "off"
    assert load({"EMAIL_CONFIRMATION": "required"}).email_confirmation == "required"
    assert load(PRODUCTION).email_confirmation == "required"
    assert load(PRODUCTION | {"EMAIL_CONFIRMATION": "off", "SMTP_HOST": ""}).email_confirmation == "off"


@pytest.mark.parametrize("mode", ["", "required"])
def test_production_can_not_confirm_emails_without_a_mail_server(mode: str) -> None:
    text = refusal(PRODUCTION | {"SMTP_HOST": "", "EMAIL_CONFIRMATION": mode})
    assert "SMTP_HOST: not set; EMAIL_CONFIRMATION=required" in text


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_come_from_a_file_in_place_of_its_variable(name: str, tmp_path: Path) -> None:
    urls = {"DATABASE_URL": "postgresql://u:p@h/d", "REDIS_URL": "redis://:word@h:6379/0"}
    value = {**urls, "DATABASE_OWNER_URL": urls["DATABASE_URL"]}.get(name, STRONG)
    file = tmp_path / "secret"
    file.write_text(value + "\n")
    others = {"SMTP_USER": "u"}
    assert load({**others, f"{name}_FILE": str(file)}) == load({**others, name: value})
    file.write_text("\n")
    assert load({**others, f"{name}_FILE": str(file)}) == load(others)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_and_its_file_together_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden-word")
    text = refusal({"SMTP_USER": "u", name: STRONG, f"{name}_FILE": str(tmp_path / "secret")})
    assert f"{name}: set, and {name}_FILE is set, too; set only one of them" in text
    assert len(text.splitlines()) == (3 if name.endswith("_URL") else 2)
    assert "hidden-word" not in text and STRONG not in text


def test_an_unreadable_file_of_a_secret_is_named_once(tmp_path: Path) -> None:
    environ = {**PRODUCTION, "SECRET_KEY": "", "SECRET_KEY_FILE": str(tmp_path / "missing")}
    text = refusal(environ)
    assert text.splitlines()[1:] == [
        f"  SECRET_KEY_FILE: '{tmp_path}/missing' can't be read: No such file or directory"
    ]
    (tmp_path / "missing").write_bytes(b"\xff\xfe")
    assert "can't be read: it is not text in UTF-8" in refusal(environ)


def test_production_accepts_secrets_from_files(tmp_path: Path) -> None:
    files = {}
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL"):
        (tmp_path / name).write_text(PRODUCTION[name])
        files |= {name: "", f"{name}_FILE": str(tmp_path / name)}
    assert load(PRODUCTION | files) == load(PRODUCTION)


def test_previous_keys_are_a_list_of_strong_keys() -> None:
    other = STRONG[::-1]
    settings = load({**PRODUCTION, "SECRET_KEY_PREVIOUS": f"{other}, {STRONG}a"})
    assert settings.secret_keys == (STRONG, other, f"{STRONG}a")
    assert other not in repr(settings)
    text = refusal({**PRODUCTION, "SECRET_KEY_PREVIOUS": f"{other},short"})
    assert "SECRET_KEY_PREVIOUS: its value is not accepted" in text and other not in text


@pytest.mark.parametrize(
    "changed",
    [
        {"DATABASE_URL": "postgres://u:p@db.example.org/shop?sslmode=require"},
        {"DATABASE_URL": "postgres://u:p@db/shop"},
        {"DATABASE_URL": "postgres:///shop?host=db.example.org"},
        {"DATABASE_URL": "postgres://u:p@127.0.0.1/shop?hostaddr=192.0.2.7"},
        {"DATABASE_OWNER_URL": "postgres://u:p@db.example.org/shop"},
        {"REDIS_URL": "redis://valkey:6379/0"},
        {"REDIS_URL": "rediss://valkey:6379/0?ssl_cert_reqs=none"},
        {"REDIS_URL": "rediss://valkey:6379/0?ssl_check_hostname=false"},
        {"SMTP_SECURITY": "none"},
    ],
)
def test_plain_connections_are_refused_where_the_operator_says_so(changed: dict[str, str]) -> None:
    safe = PRODUCTION | {
        "PLAIN_CONNECTIONS": "refused",
        "DATABASE_URL": "postgres://u:p@db.example.org/shop?sslmode=verify-full",
        "REDIS_URL": "rediss://valkey.example.org:6380/0?ssl_ca_certs=/ca.pem",
    }
    assert load(safe).plain_connections == "refused"
    assert load(safe | changed | {"PLAIN_CONNECTIONS": "allowed"}).plain_connections == "allowed"
    lines = refusal(safe | changed).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == list(changed)
    assert "u:p" not in lines[0]


def test_sockets_and_loopback_addresses_need_no_tls() -> None:
    for database, valkey in (
        ("postgres:///shop?host=/run/postgresql", "unix:///run/valkey.sock"),
        ("postgres://u:p@127.0.0.1/shop", "redis://localhost:6379/0"),
    ):
        load(PRODUCTION | {"PLAIN_CONNECTIONS": "refused", "DATABASE_URL": database, "REDIS_URL": valkey})


def test_hosts_of_webhooks_are_names() -> None:
    assert load({"WEBHOOK_HOSTS": "hooks.example.org, *.Example.com"}).webhook_hosts == (
        "hooks.example.org",
        "*.example.com",
    )
    for wrong in ("*", "https://hooks.example.org", "*.org.*", "hooks", "hooks.example.org:443"):
        assert "WEBHOOK_HOSTS" in refusal({"WEBHOOK_HOSTS": wrong})


def test_the_file_of_breached_passwords_is_looked_at_by_the_start(tmp_path: Path) -> None:
    path = tmp_path / "digests"
    assert "BREACHED_PASSWORDS" in refusal({"BREACHED_PASSWORDS": str(path)})
    path.write_text("password\n")
    assert "BREACHED_PASSWORDS" in refusal({"BREACHED_PASSWORDS": str(path)})
    path.write_text("0" * 40 + ":12\r\n")
    assert load({"BREACHED_PASSWORDS": str(path)}).breached_passwords == path
