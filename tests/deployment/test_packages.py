"""`make sbom`: the packages of the image, as the lock has them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_the_list_of_packages_is_that_of_the_lock_with_hashes(tmp_path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^sbom:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    words = recipe[1].replace("\\\n", " ").split()
    assert words[0] == "$(BIN)/cyclonedx-py" and words[-1] == "sbom.json"
    file = tmp_path / "sbom.json"
    command = [sys.executable, "-m", "cyclonedx_py", *words[1:-1], str(file)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    listed = json.loads(file.read_text())
    assert listed["bomFormat"] == "CycloneDX" and listed["metadata"]["component"]["name"] == "qist"
    locked = dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==([^ ;]+)", (ROOT / "requirements.lock").read_text(), re.M))
    assert len(locked) > 50
    assert {part["name"]: part["version"] for part in listed["components"]} == locked
    assert all(part["externalReferences"][0]["hashes"] for part in listed["components"])
