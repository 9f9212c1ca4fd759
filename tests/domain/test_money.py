"""Money in minor units: strict parsing, formatting with the currency's digits, and exact splits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import money
from portal.domain.money import CURRENCIES, MAX_MINOR, BadAmount

currencies = st.sampled_from(sorted(CURRENCIES))
amounts = st.integers(0, MAX_MINOR)

ZERO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"


def test_currencies_without_two_digits_are_those_of_iso_4217():
    """The expected codes come from the published list, not from the table under test, without funds codes."""
    assert {code for code, digits in CURRENCIES.items() if digits == 0} == set(ZERO_DIGITS.split())
    assert {code for code, digits in CURRENCIES.items() if digits == 3} == set(THREE_DIGITS.split())
    assert set(CURRENCIES.values()) == {0, 2, 3}


def test_codes_are_three_capital_letters_and_include_the_common_currencies():
    assert all(len(code) == 3 and code.isascii() and code.isalpha() and code.isupper() for code in CURRENCIES)
    assert {"USD", "EUR", "GBP", "SAR", "AED", "EGP", "INR", "CHF", "CNY", "BRL"} <= set(CURRENCIES)
    assert not {"XXX", "XTS", "XAU", "BOV", "CHE", "USN", "HRK", "SLL"} & set(CURRENCIES)


@given(amounts, currencies)
def test_plain_text_parses_to_the_same_amount(minor, currency):
    assert money.parse(money.plain(minor, currency), currency) == minor
    assert money.parse(f" \t{money.plain(minor, currency)}\r\n", currency) == minor


@given(amounts, currencies)
def test_the_shown_text_is_the_same_amount_with_code_and_separators(minor, currency):
    code, _, figure = money.show(minor, currency).partition("\u00a0")
    assert code == currency
    assert money.parse(figure.replace(",", ""), currency) == minor
    assert all(len(group) == 3 for group in figure.partition(".")[0].split(",")[1:])


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12", "SAR", 1200),
        ("12.5", "SAR", 1250),
        ("12.50", "SAR", 1250),
        ("0012.50", "SAR", 1250),
        ("0", "SAR", 0),
        ("0.00", "SAR", 0),
        ("12", "JPY", 12),
        ("12.5", "KWD", 12500),
        ("12.345", "KWD", 12345),
        ("10000000000000.00", "SAR", MAX_MINOR),
        ("1000000000000000", "JPY", MAX_MINOR),
        ("1000000000000.000", "KWD", MAX_MINOR),
    ],
)
def test_decimal_text_parses_with_the_currencys_digits(text, currency, minor):
    assert money.parse(text, currency) == minor


NOT_AMOUNTS = [
    "", " ", "\u00a0", "-1", "+1", "−1", "1e3", "1E3", "1e-2", "0x10", "1_000", "1,000", "1,5", "1'000", "1 000",
    "1\u00a0000", "1\u202f000", "1. 5", "1 .5", "NaN", "nan", "Infinity", "-Infinity", "inf", "sNaN", "٣", "۳", "१२",
    "１２", "Ⅻ", "²", "1٫5", ".5", "5.", ".", "1.2.3", "1..2", "12.345", "0.001", "1.000", "SAR 5", "5 SAR", "$5", "5%",
    "1/2", "\x001", "1\x00", "1\n2", "\v1", "\u200f1", "1" * 17, "9" * 400, "true", "null", "()", "10000000000000.01",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_AMOUNTS, ids=ascii)
def test_other_text_is_refused_and_never_rounded(text):
    with pytest.raises(BadAmount) as refused:
        money.parse(text, "SAR")
    assert refused.value.about in ("missing", "not_digits", "too_precise", "too_large")


@pytest.mark.parametrize(("text", "currency"), [("12.0", "JPY"), ("12.", "JPY"), ("0.0001", "KWD"), ("1.0000", "KWD")])
def test_extra_digits_are_refused_even_when_they_are_zeros(text, currency):
    with pytest.raises(BadAmount):
        money.parse(text, currency)


@given(st.text(max_size=30), currencies)
def test_any_text_parses_or_raises_bad_amount(text, currency):
    try:
        minor = money.parse(text, currency)
    except BadAmount:
        return
    assert 0 <= minor <= MAX_MINOR
    assert text.strip(" \t\r\n").replace(".", "").isascii()
    assert set(text.strip(" \t\r\n")) <= set("0123456789.")


@given(st.integers(MAX_MINOR + 1, 10**18), currencies)
def test_an_amount_above_the_largest_is_refused(minor, currency):
    with pytest.raises(BadAmount):
        money.parse(money.plain(minor, currency), currency)


def test_shown_amounts_have_separators_and_plain_amounts_have_none():
    assert money.show(120_000, "SAR") == "SAR\u00a01,200.00"
    assert money.show(120_000, "JPY") == "JPY\u00a0120,000"
    assert money.show(1_234_567_891, "KWD") == "KWD\u00a01,234,567.891"
    assert money.show(5, "SAR") == "SAR\u00a00.05"
    assert money.show(-5, "SAR") == "-SAR\u00a00.05"
    assert money.plain(-120_000, "SAR") == "-1200.00"
    assert money.plain(-7, "JPY") == "-7"


def test_an_unknown_currency_raises_key_error():
    with pytest.raises(KeyError):
        money.parse("1", "XXX")


@given(st.data())
def test_parts_add_up_differ_by_at_most_one_and_the_larger_come_first(data):
    count = data.draw(st.integers(1, 60))
    total = data.draw(st.one_of(st.integers(count, count + 200), st.integers(count, MAX_MINOR)))
    parts = money.split(total, count)
    assert len(parts) == count
    assert sum(parts) == total
    assert min(parts) >= 1
    assert parts[0] - parts[-1] <= 1
    assert parts == sorted(parts, reverse=True)


@given(st.data())
def test_a_total_with_fewer_units_than_parts_is_refused(data):
    count = data.draw(st.integers(1, 60))
    total = data.draw(st.integers(-5, count - 1))
    with pytest.raises(ValueError, match="fewer minor units"):
        money.split(total, count)


def test_a_split_loses_no_unit_and_makes_no_zero_part():
    assert money.split(100_00, 3) == [33_34, 33_33, 33_33]
    for total, count in [(5, 10), (3, 7)]:
        with pytest.raises(ValueError):
            money.split(total, count)
    with pytest.raises(ValueError):
        money.split(100, 0)
