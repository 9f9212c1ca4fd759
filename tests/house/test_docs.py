"""The pictures of the docs: twelve, light to load, each taken by the script."""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SHOTS = sorted((ROOT / "docs" / "screenshots").glob("*"))
MAX_BYTES = 100_000
MAX_SIDE = 1700
"""In px: a phone's screen at twice its resolution."""


def test_twelve_screenshots_are_light_to_load() -> None:
    assert len(SHOTS) == 12
    for shot in SHOTS:
        assert shot.suffix == ".png" and shot.stat().st_size <= MAX_BYTES, shot.name
        with Image.open(shot) as picture:
            assert max(picture.size) <= MAX_SIDE, shot.name


def test_the_script_takes_each_screenshot() -> None:
    script = (ROOT / "docs" / "screenshots.py").read_text()
    for shot in SHOTS:
        named = f'"{shot.stem}"' in script or f'f"{shot.stem.split("-")[0]}-{{name}}"' in script
        assert named, shot.name
