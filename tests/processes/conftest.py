"""What these tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.running import Doorbell, Running


@pytest.fixture
def doorbell(tmp_path: Path) -> Iterator[Doorbell]:
    """A Valkey of this test's own."""
    with Doorbell(tmp_path / "valkey") as valkey:
        yield valkey


@pytest.fixture
def running(tmp_path: Path, doorbell: Doorbell) -> Iterator[Running]:
    """Processes on this test's database (when the test has one) and its own Valkey."""
    with Running(tmp_path, doorbell.url) as processes:
        yield processes
