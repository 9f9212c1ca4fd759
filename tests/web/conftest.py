"""What tests of pages share."""

import io
import logging
from collections.abc import Iterator

import pytest
import redis
import structlog
from flask import Flask

from portal.extensions import limiter


@pytest.fixture
def logged(app: Flask) -> Iterator[io.StringIO]:
    """Everything that is logged meanwhile, from "info" upwards, by us and by the libraries."""
    seen = io.StringIO()
    before, root = structlog.get_config(), logging.getLogger()
    handler = logging.StreamHandler(seen)
    level = root.level
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(seen),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield seen
    structlog.configure(**before)
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def limits(app: Flask, valkey: redis.Redis) -> Iterator[None]:
    """Rate limits are on, and nothing is counted yet."""
    limiter._storage_dead = False
    limiter.enabled = True
    yield
    limiter.enabled = False
