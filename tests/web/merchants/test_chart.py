"""The scale of the bar chart."""

import pytest

from portal.web.merchants.chart import chart


def test_without_amounts_there_is_no_chart() -> None:
    assert chart([], "SAR") is None
    assert chart([("Jan", 0, 0), ("Feb", 0, -5)], "SAR") is None


@pytest.mark.parametrize(
    ("highest", "currency", "top", "middle"),
    [
        (1, "JPY", "JPY 2", "JPY 1"),
        (90_00, "SAR", "SAR 100", "SAR 50"),
        (100_00, "SAR", "SAR 100", "SAR 50"),
        (100_01, "SAR", "SAR 200", "SAR 100"),
        (412_345, "SAR", "SAR 6,000", "SAR 3,000"),
        (5, "KWD", "KWD 0.006", "KWD 0.003"),
        (10**15, "SAR", "SAR 10,000,000,000,000", "SAR 5,000,000,000,000"),
    ],
)
def test_the_scale_ends_at_a_round_amount_above_the_highest(highest: int, currency: str, top: str, middle: str) -> None:
    scaled = chart([("Jan", highest, 0)], currency)
    assert scaled is not None
    assert [(place, words.replace("\u00a0", " ")) for place, words in scaled.lines] == [(100, top), (50, middle)]


def test_bars_are_percent_of_the_scale() -> None:
    scaled = chart([("Jan", 50_00, 200_00), ("Feb", 0, 33_33)], "SAR")
    assert scaled is not None and scaled.bars == [("Jan", 25.0, 100.0), ("Feb", 0.0, 16.66)]
