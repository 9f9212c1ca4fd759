"""The examples of systemd units: commands and settings that exist, and what systemd itself says of them."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from portal.cli import main

UNITS = sorted((Path(__file__).parents[2] / "docs" / "examples" / "systemd").glob("*.service"))
EXAMPLE = (Path(__file__).parents[2] / ".env.example").read_text()


def values(unit: Path, name: str) -> list[str]:
    """The values of this name in a unit."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def test_the_three_processes_have_a_unit() -> None:
    assert [unit.stem for unit in UNITS] == ["qist-scheduler", "qist-web", "qist-worker@"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_with_settings_that_exist(unit: Path) -> None:
    (command,) = values(unit, "ExecStart")
    program, *words = shlex.split(command)
    assert program == "/opt/qist/.venv/bin/qist" and words[0] in main.commands
    credentials = {value.split(":")[0] for value in values(unit, "LoadCredential")}
    given = [pair.split("=") for value in values(unit, "Environment") for pair in shlex.split(value)]
    for name, value in given:
        assert re.search(rf"^{name.removesuffix('_FILE')}=", EXAMPLE, re.MULTILINE), name
        assert not name.endswith("_FILE") or value.removeprefix("%d/") in credentials
    assert {name.removesuffix("_FILE").lower() for name, _ in given if name.endswith("_FILE")} == credentials


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_knows_every_line_of_a_unit(unit: Path) -> None:
    """It finds no fault but the program, which is not at its place here."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd here")
    found = subprocess.run([program, "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    faults = [line for line in found.stderr.splitlines() if unit.stem.rstrip("@") in line]
    assert not [line for line in faults if "/opt/qist/.venv/bin/qist is not executable" not in line], found.stderr
