"""The examples of docs/api.md and docs/examples work against the running system."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.live import Live

DOCS = Path(__file__).parents[2] / "docs"


def test_the_script_of_ten_minutes(live: Live) -> None:
    script = DOCS / "examples" / "ten_minutes.py"
    done = subprocess.run([sys.executable, str(script), live.url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("done\n") and "declined: " in done.stdout


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="the page's commands need curl and jq")
def test_the_commands_of_the_page_in_order(live: Live, tmp_path: Path) -> None:
    """Runs every ```sh block of docs/api.md in order, in one shell."""
    text = (DOCS / "api.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    assert len(blocks) >= 5
    script = "set -eu\n" + "\n".join(blocks).replace("http://127.0.0.1:8000", live.url)
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    last = json.loads(done.stdout.strip().splitlines()[-1])
    assert last["total_revenue"] == 33.34
