"""A killed `make run` leaves no process and no server behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from portal.local.child_server import still_running
from tests.fixtures.live import ROOT, Live
from tests.local.test_supervisor import HANG_SECONDS, clean_up, sockets

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("dev")]


def test_a_killed_make_leaves_no_process(tmp_path: Path) -> None:
    """The recipe outlives make, and ends with the process that QIST_PARENT_PID names."""
    system = Live(tmp_path / "home")
    programs = f"BIN={Path(sys.executable).parent}"
    system.command = ["make", f"--directory={ROOT}", "--assume-old=.venv/.run", programs, "run"]
    dry_run = subprocess.run([*system.command, "--dry-run"], capture_output=True, text=True, check=True).stdout
    assert [line for line in dry_run.splitlines() if "install" in line] == []
    try:
        for number in (signal.SIGKILL, signal.SIGTERM):
            system.start()
            family, folders = system.processes(), sockets(system)
            assert psutil.Process(system.pid).name() == "make"
            os.kill(system.pid, number)
            system.wait(HANG_SECONDS)
            assert still_running(family, HANG_SECONDS) == []
            assert not any(folder.exists() for folder in folders)
            assert system.processes() == []
    finally:
        clean_up(system)
