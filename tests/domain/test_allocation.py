"""Dividing an amount over installments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import allocation

PARTS = [(1, 40), (2, 30), (3, 30)]
sizes = st.lists(st.integers(1, 500), min_size=1, max_size=8)


def test_payments_fill_the_oldest_installment_first():
    assert allocation.oldest_first(PARTS, 50) == [(1, 40), (2, 10)]


def test_credits_take_from_the_last_installment_backwards():
    assert allocation.from_last(PARTS, 50) == [(2, 20), (3, 30)]


def test_a_spread_takes_the_same_from_each_and_odd_units_from_the_first():
    assert allocation.spread(PARTS, 50) == [(1, 17), (2, 17), (3, 16)]


def test_a_spread_takes_at_most_the_open_part_of_an_installment():
    assert allocation.spread([(1, 5), (2, 30), (3, 30)], 35) == [(1, 5), (2, 15), (3, 15)]


@pytest.mark.parametrize("amount", [0, -1, 101])
@pytest.mark.parametrize("divide", [allocation.oldest_first, allocation.from_last, allocation.spread])
def test_an_amount_below_one_or_above_the_open_parts_is_refused(divide, amount):
    with pytest.raises(ValueError):
        divide(PARTS, amount)


@given(sizes, st.data())
def test_the_shares_sum_to_the_amount_and_none_exceeds_its_part(amounts, data):
    parts = list(enumerate(amounts))
    amount = data.draw(st.integers(1, sum(amounts)))
    for divide in (allocation.oldest_first, allocation.from_last, allocation.spread):
        shares = divide(parts, amount)
        assert sum(share for _, share in shares) == amount
        assert all(0 < share <= amounts[place] for place, share in shares)
        assert [place for place, _ in shares] == sorted({place for place, _ in shares})


@given(sizes, st.data())
def test_in_a_spread_a_share_more_than_a_unit_below_the_largest_is_its_whole_part(amounts, data):
    amount = data.draw(st.integers(1, sum(amounts)))
    shares = dict(allocation.spread(list(enumerate(amounts)), amount))
    most = max(shares.values())
    assert all(shares.get(place, 0) >= most - 1 or shares.get(place, 0) == size for place, size in enumerate(amounts))
