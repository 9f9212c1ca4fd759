"""Fixtures of tests of pages."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog
from flask import Flask


@pytest.fixture
def logged(app: Flask) -> Iterator[io.StringIO]:
    """The log of the test from level "info" upwards, of the application and of libraries."""
    log = io.StringIO()
    before, root = structlog.get_config(), logging.getLogger()
    handler = logging.StreamHandler(log)
    level = root.level
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(log),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield log
    structlog.configure(**before)
    root.removeHandler(handler)
    root.setLevel(level)
