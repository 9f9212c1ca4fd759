"""The vendored files are exactly those of VENDOR.json, with their licences."""

import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "static" / "vendor"
LISTED = json.loads((VENDOR / "VENDOR.json").read_text())["packages"]


def test_every_vendor_file_has_the_bytes_that_were_reviewed() -> None:
    wrong = [
        path
        for package in LISTED
        for path, sha256 in package["files"].items()
        if hashlib.sha256((ROOT / path).read_bytes()).hexdigest() != sha256
    ]
    assert wrong == []


def test_every_vendor_file_is_listed() -> None:
    listed = {path for package in LISTED for path in package["files"]}
    present = {path.relative_to(ROOT).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    assert present - listed == {"static/vendor/VENDOR.json"}


def test_every_package_names_its_version_and_keeps_its_licence() -> None:
    for package in LISTED:
        assert package["name"] and package["package"] and package["licence"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert package["licence_file"] in package["files"]


def test_the_list_has_no_url() -> None:
    assert "://" not in (VENDOR / "VENDOR.json").read_text()


def test_every_icon_of_a_template_exists() -> None:
    drawn = set(re.findall(r"^  '([a-z0-9-]+)': '", (ROOT / "templates/ui/lucide.html").read_text(), re.M))
    used = set()
    for template in (ROOT / "templates").rglob("*.html"):
        used |= set(re.findall(r"""\bicon\(\s*["']([a-z0-9-]+)["']""", template.read_text()))
    assert used <= drawn
