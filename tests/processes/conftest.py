"""Fixtures of the tests with real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.running import Running, ValkeyServer


@pytest.fixture
def valkey_server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """The test's own Valkey."""
    with ValkeyServer(tmp_path / "valkey") as valkey:
        yield valkey


@pytest.fixture
def running(tmp_path: Path, valkey_server: ValkeyServer) -> Iterator[Running]:
    """Processes with the test's database, if the test has one, and its own Valkey."""
    with Running(tmp_path, valkey_server.url) as processes:
        yield processes
