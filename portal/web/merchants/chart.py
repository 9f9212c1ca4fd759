"""The scale of a bar chart: amounts as percent of its height. templates/ui/chart.html draws it as SVG."""

from collections.abc import Iterable
from dataclasses import dataclass

from portal.domain import money


@dataclass(frozen=True, slots=True)
class Chart:
    """`bars` are (label, first, second), `lines` are (position, text); in percent of the scale with two digits."""

    bars: list[tuple[str, float, float]]
    lines: list[tuple[float, str]]


def chart(pairs: Iterable[tuple[str, int, int]], currency: str) -> Chart | None:
    """Pairs of amounts (minor units of one currency) on one scale; None when no amount is above zero."""
    rows = [(label, max(first, 0), max(second, 0)) for label, first, second in pairs]
    highest = max((max(first, second) for _, first, second in rows), default=0)
    if not highest:
        return None
    top = _round_up(highest)
    bars = [(label, round(100 * first / top, 2), round(100 * second / top, 2)) for label, first, second in rows]
    return Chart(bars, [(100.0, _short(top, currency)), (50.0, _short(top // 2, currency))])


def _round_up(amount: int) -> int:
    """The next of 1, 2, 4, 6, 10 times a power of ten that is even: the middle of the scale is a whole number."""
    power: int = 10 ** (len(str(amount)) - 1)
    steps: list[int] = [step * power for step in (1, 2, 4, 6, 10)]
    return next(step for step in steps if step >= amount and step % 2 == 0)


def _short(amount: int, currency: str) -> str:
    """The amount, without decimals when it is a whole number of major units."""
    text = money.show(amount, currency)
    return text if amount % 10 ** money.digits(currency) else text.partition(".")[0]
