"""The alert rules and the dashboard: promtool accepts them, and each figure that they name exists."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from portal import counters
from portal.metrics.server import KNOWN

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
PAGE = (FOLDER.parent / "monitoring.md").read_text()
ALERTS = (FOLDER / "alerts.yml").read_text()
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
COUNTED = set(re.findall(r'"(qist_\w+)", "', Path(counters.__file__).read_text()))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
NAMED = r"qist_\w+"


def figures(text: str) -> set[str]:
    """The figures that a text names, without the suffixes that Prometheus's formats add."""
    return {re.sub(r"_(total|bucket)$", "", name) for name in re.findall(NAMED, text)}


@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
        ("test", "rules", "alerts_of_days_test.yml"),
    ],
)
def test_promtool_accepts_the_rules(command: tuple[str, ...]) -> None:
    """Each failure fires within a minute: alerts_test.yml has a frozen worker, no mail server, and the others."""
    if shutil.which("promtool") is None:
        pytest.skip("no promtool here")
    done = subprocess.run(["promtool", *command], cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_figure_of_the_rules_and_the_dashboard_exists() -> None:
    known = COUNTED | set(KNOWN) | {"qist_up", "qist_problem", "qist_version_info"}
    assert figures(ALERTS) <= known
    assert figures(" ".join(EXPRESSIONS)) <= known
    assert figures(PAGE) == known


def test_the_page_lists_every_alert() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    assert set(re.findall(r"Qist[A-Z]\w+", PAGE)) == set(alerts)
    assert len(alerts) == len(set(alerts))


def test_the_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
