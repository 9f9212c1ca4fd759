"""Addresses with TLS: what of DATABASE_URL and REDIS_URL reaches the drivers."""

from typing import Any

import pytest
from limits.storage import storage_from_string
from redis.connection import SSLConnection
from sqlalchemy import create_engine

from portal.config import load
from portal.valkey import connections, rate_limit_storage

VALKEY = "rediss://qist:a-word@valkey.example.org:6380/0"


@pytest.mark.parametrize("options", ["sslmode=verify-full&sslrootcert=system", "sslmode=verify-ca&sslrootcert=/ca.pem"])
def test_the_tls_options_of_the_database_reach_its_driver(options: str) -> None:
    url = load({"DATABASE_URL": f"postgresql://qist:a-word@db.example.org/qist?{options}"}).database_url
    assert url is not None
    engine = create_engine(url)
    _, arguments = engine.dialect.create_connect_args(engine.url)
    expected = dict(part.split("=") for part in options.split("&"))
    assert {name: arguments[name] for name in expected} == expected
    assert (arguments["host"], arguments["password"]) == ("db.example.org", "a-word")


@pytest.mark.parametrize("authority", [None, "/etc/ssl/valkey-ca.pem"])
def test_the_certificate_and_the_name_of_valkey_are_checked(authority: str | None) -> None:
    url = load({"REDIS_URL": VALKEY + (f"?ssl_ca_certs={authority}" if authority else "")}).redis_url
    assert url is not None
    storage: Any = storage_from_string(f"qist+{url}")
    assert isinstance(storage, rate_limit_storage.RateLimitStorage)
    for client in (connections.for_requests(url), storage.storage):
        pool = client.connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)
        assert isinstance(connection, SSLConnection)
        assert (connection.cert_reqs.name, connection.check_hostname) == ("CERT_REQUIRED", True)
        assert (connection.ca_certs, connection.username, connection.password) == (authority, "qist", "a-word")


def test_certificates_of_the_client_reach_both_drivers() -> None:
    url = load({"DATABASE_URL": "postgresql://qist@db.example.org/qist?sslcert=/c.pem&sslkey=/k.pem"}).database_url
    assert url is not None
    engine = create_engine(url)
    _, arguments = engine.dialect.create_connect_args(engine.url)
    assert (arguments["sslcert"], arguments["sslkey"]) == ("/c.pem", "/k.pem") and "password" not in arguments
    url = load({"REDIS_URL": "rediss://valkey.example.org/0?ssl_certfile=/c.pem&ssl_keyfile=/k.pem"}).redis_url
    assert url is not None
    storage: Any = storage_from_string(f"qist+{url}")
    for client in (connections.for_requests(url), storage.storage):
        pool = client.connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)
        assert (connection.certfile, connection.keyfile) == ("/c.pem", "/k.pem")
