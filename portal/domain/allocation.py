"""How an amount is divided over installments. Pure; verbs and the previews before them share it.

A part is (installment id, minor units). All functions take what is open of each installment, in the order of their
numbers, and return the parts that are not zero, in the same order; they add up to the amount exactly. They raise
ValueError when the amount is less than 1 or more than what is open.
"""

from collections.abc import Sequence

Part = tuple[int, int]


def oldest_first(open_parts: Sequence[Part], amount: int) -> list[Part]:
    """Fill the first installment, then the next. Payments go this way."""
    _check(open_parts, amount)
    return _fill(open_parts, amount)


def from_last(open_parts: Sequence[Part], amount: int) -> list[Part]:
    """Take from the last installment backwards. Credits go this way unless they are spread."""
    _check(open_parts, amount)
    return _fill(open_parts[::-1], amount)[::-1]


def spread(open_parts: Sequence[Part], amount: int) -> list[Part]:
    """The same from each installment, as far as it has that much; odd minor units come from the first ones."""
    _check(open_parts, amount)
    wanting, left = list(open_parts), amount
    base, odd = divmod(left, len(wanting))
    while small := [part for part in wanting if part[1] <= base]:
        left -= sum(size for _, size in small)
        wanting = [part for part in wanting if part[1] > base]
        if not wanting:
            break
        base, odd = divmod(left, len(wanting))
    shares = {name: base + (place < odd) for place, (name, _) in enumerate(wanting)}
    return [(name, share) for name, size in open_parts if (share := shares.get(name, size))]


def _fill(open_parts: Sequence[Part], amount: int) -> list[Part]:
    parts = []
    for name, size in open_parts:
        if share := min(size, amount):
            parts.append((name, share))
            amount -= share
    return parts


def _check(open_parts: Sequence[Part], amount: int) -> None:
    if not 1 <= amount <= sum(size for _, size in open_parts):
        raise ValueError("the amount is not between 1 and what is open")
