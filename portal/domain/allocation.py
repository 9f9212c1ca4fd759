"""Divide an amount over installments. Pure; the services and the previews before them share these functions.

A part is (installment id, minor units). Each function takes the open parts in the order of the installments' numbers.
It returns the parts above zero in the same order; they sum to the amount exactly. It raises ValueError for an amount
below 1 or above the sum of the open parts.
"""

from collections.abc import Sequence
from typing import Final, Literal, get_args

Part = tuple[int, int]
How = Literal["last", "spread"]
"""How a credit is divided: from the last installment backwards, or spread."""
HOW: Final[tuple[How, ...]] = get_args(How)


def oldest_first(open_parts: Sequence[Part], amount: int) -> list[Part]:
    """Fill the first installment, then the next. Payments are divided like this."""
    _check(open_parts, amount)
    return _fill(open_parts, amount)


def from_last(open_parts: Sequence[Part], amount: int) -> list[Part]:
    """Take from the last installment backwards. Credits are divided like this unless they are spread."""
    _check(open_parts, amount)
    return _fill(open_parts[::-1], amount)[::-1]


def spread(open_parts: Sequence[Part], amount: int) -> list[Part]:
    """Take the same from each installment, or all of a smaller one. The first ones give the odd minor units."""
    _check(open_parts, amount)
    larger, rest = list(open_parts), amount
    base, odd = divmod(rest, len(larger))
    while smaller := [part for part in larger if part[1] <= base]:
        rest -= sum(size for _, size in smaller)
        larger = [part for part in larger if part[1] > base]
        if not larger:
            break
        base, odd = divmod(rest, len(larger))
    shares = {part_id: base + (place < odd) for place, (part_id, _) in enumerate(larger)}
    return [(part_id, share) for part_id, size in open_parts if (share := shares.get(part_id, size))]


def _fill(open_parts: Sequence[Part], amount: int) -> list[Part]:
    parts = []
    for part_id, size in open_parts:
        if share := min(size, amount):
            parts.append((part_id, share))
            amount -= share
    return parts


def _check(open_parts: Sequence[Part], amount: int) -> None:
    if not 1 <= amount <= sum(size for _, size in open_parts):
        raise ValueError("the amount is not between 1 and what is open")
