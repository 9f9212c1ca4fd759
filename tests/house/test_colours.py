"""Contrast of colours: every pair of the style sheets in both themes.

4.5:1 for text and 3:1 for controls and marks: WCAG 2.2, 1.4.3 and 1.4.11.
"""

import gzip
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSS = sorted((ROOT / "static" / "css").rglob("*.css"))
TOKENS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", (ROOT / "static/css/tokens.css").read_text()
    )
}

TEXT = [
    *[
        (ink, ground)
        for ink in ("ink", "ink-muted")
        for ground in ("paper", "surface", "sunken", "quiet-soft", "brand-soft")
    ],
    *[("ink", f"{tone}-soft") for tone in ("paid", "open", "late", "warn")],
    *[(tone, f"{tone}-soft") for tone in ("brand", "paid", "open", "late", "warn")],
    *[
        (tone, ground)
        for tone in ("brand", "brand-strong", "paid", "late", "late-strong")
        for ground in ("paper", "surface", "sunken")
    ],
    ("brand-strong", "brand-soft"),
    ("late-strong", "late-soft"),
    ("on-brand", "brand"),
    ("on-brand", "brand-strong"),
    ("on-late", "late"),
    ("on-late", "late-strong"),
]
CONTROLS = [
    *[
        (edge, ground)
        for edge in ("control-line", "brand", "open", "late", "warn")
        for ground in ("paper", "surface", "sunken")
    ],
    ("late", "late-soft"),
    ("brand", "brand-soft"),
]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground", "least"), [(*p, 4.5) for p in TEXT] + [(*p, 3.0) for p in CONTROLS])
def test_contrast_is_sufficient(ink: str, ground: str, least: float, theme: str) -> None:
    side = ("light", "dark").index(theme)
    assert contrast(TOKENS[ink][side], TOKENS[ground][side]) >= least


def test_colours_are_named_in_tokens_only() -> None:
    for sheet in CSS:
        if sheet.name != "tokens.css":
            assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", sheet.read_text()), sheet.name


def test_every_token_used_is_defined() -> None:
    text = "\n".join(sheet.read_text() for sheet in CSS)
    assert set(re.findall(r"var\(--([a-z0-9-]+)", text)) <= set(re.findall(r"--([a-z0-9-]+):", text))


def test_all_style_sheets_together_stay_small() -> None:
    assert len(gzip.compress(b"".join(sheet.read_bytes() for sheet in CSS))) < 12 * 1024


def test_no_template_has_inline_styles_or_scripts() -> None:
    for template in (ROOT / "templates").rglob("*.html"):
        if "mail" in template.parts:
            continue
        text = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.S)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|hx-on|<script(?![^>]*\ssrc=)|javascript:", text), (
            template.name
        )
