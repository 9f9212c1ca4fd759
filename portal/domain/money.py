"""Money as integers: minor units and an ISO 4217 code. This module neither takes nor returns a float.

The digits of each currency are those of ISO 4217, list one (active codes without funds, metals and test codes). CLDR's
table, which Babel ships, describes price tags and differs for a dozen currencies.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

_DIGITS: Final[dict[int, str]] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
        "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
        "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD "
        "NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN "
        "SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
}

CURRENCIES: Final[dict[str, int]] = dict(
    sorted((code, digits) for digits, codes in _DIGITS.items() for code in codes.split())
)
"""Number of decimal digits by currency code."""

MAX_MINOR: Final = 10**15
"""The largest amount that the product accepts, in minor units."""

_DECIMAL = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,3})?")
_SIGNS: Final = str.maketrans(
    {"٫": ".", "٬": ",", "\u2019": "'", "\u00a0": " ", "\u202f": " ", "\u200e": None, "\u200f": None, "\u061c": None}
)
"""Arabic separators, blanks and apostrophes as ASCII; marks of direction go."""
_GROUPED: Final = re.compile(
    r"[0-9]{1,3}(?P<group>[ ',.])[0-9]{3}(?:(?P=group)[0-9]{3})*(?:(?P<point>[.,])[0-9]{1,3})?"
)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of a currency (ISO 4217). Its text is that of `show`."""

    minor: int
    currency: str

    def __str__(self) -> str:
        return show(self.minor, self.currency)


class BadAmount(ValueError):
    """The text is not an amount in this currency. `about` is the reason; `facts` belong to its sentence.

    missing; not_digits (example: an amount in digits); too_precise (currency, digits: at most so many decimals);
    whole_only (currency: it has no decimals); too_large (limit: Money).
    """

    def __init__(self, about: str, **facts: Any) -> None:
        super().__init__(about)
        self.about = about
        self.facts = facts


def digits(currency: str) -> int:
    """The number of decimal digits of `currency` (an ISO 4217 code). Raises KeyError for an unknown code."""
    places: int = CURRENCIES[currency]
    return places


def parse(text: str, currency: str) -> int:
    """Read decimal text as minor units of `currency`.

    Accepts ASCII digits with at most the currency's own number of decimals ("12", "12.5", "12.50" for SAR; only "12"
    for JPY) and strips blanks. Raises BadAmount for signs, exponents, separators, other scripts' digits, extra digits
    (never rounded) and amounts above MAX_MINOR.
    """
    places = digits(currency)
    text = text.strip(" \t\r\n")
    if not text:
        raise BadAmount("missing")
    if not _DECIMAL.fullmatch(text):
        raise BadAmount("not_digits", example=plain(120000 if places else 1200, currency))
    whole, _, fraction = text.partition(".")
    if len(fraction) > places:
        if places:
            raise BadAmount("too_precise", currency=currency, digits=places)
        raise BadAmount("whole_only", currency=currency)
    minor: int = int(whole) * 10**places + int(fraction.ljust(places, "0") or "0")
    if minor > MAX_MINOR:
        raise BadAmount("too_large", limit=Money(MAX_MINOR, currency))
    return minor


def parse_typed(text: str, currency: str) -> int:
    """Read an amount as people and spreadsheets write it, as minor units of `currency`.

    Besides what `parse` takes: decimal digits and separators of Arabic and Persian, groups of three digits where they
    can only be groups ("1,200.50", "1 200,50", "1.200,50"), a decimal comma where it can only be one ("12,5"), and the
    currency's own code before or behind. "1,200" is a group in SAR; in KWD, which has three decimals, it is refused.
    Raises BadAmount as `parse`.
    """
    text = text.translate(_SIGNS).strip(" \t\r\n")
    text = "".join(str(unicodedata.decimal(sign, sign)) for sign in text)
    code = text.upper()
    if code.startswith(currency):
        text = text[len(currency) :].strip()
    elif code.endswith(currency):
        text = text[: -len(currency)].strip()
    places = digits(currency)
    if (grouped := _GROUPED.fullmatch(text)) is not None and _is_grouped(grouped, places):
        point = grouped["point"]
        whole, _, fraction = text.rpartition(point) if point else (text, "", "")
        text = whole.replace(grouped["group"], "") + ("." + fraction if fraction else "")
    elif re.fullmatch(r"[0-9]+,[0-9]{1,2}", text) and places:
        text = text.replace(",", ".")
    return parse(text, currency)


def _is_grouped(match: re.Match[str], places: int) -> bool:
    """The separators of this amount can only be those of groups."""
    group, point = match["group"], match["point"]
    if point is not None:
        return point != group and group + point not in (" '", "' ")
    if match[0].count(group) > 1 or group in " '":
        return True
    return group == "," and places < 3


def plain(minor: int, currency: str) -> str:
    """Minor units as decimal text with the currency's digits and no separators: 120000 SAR -> "1200.00"."""
    places = digits(currency)
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    if not places:
        return f"{sign}{minor}"
    whole, fraction = divmod(minor, 10**places)
    return f"{sign}{whole}.{fraction:0{places}d}"


def show(minor: int, currency: str) -> str:
    """Minor units as pages show them: 120000 SAR -> "SAR 1,200.00", with a no-break space after the code."""
    whole, point, fraction = plain(abs(minor), currency).partition(".")
    return f"{'-' if minor < 0 else ''}{currency}\u00a0{int(whole):,}{point}{fraction}"


def split(total: int, count: int) -> list[int]:
    """Divide `total` minor units into `count` parts that sum to it exactly.

    The first `total % count` parts get one minor unit more: parts differ by at most one, and the larger come first.
    Raises ValueError when `count` is below 1 or a part would be below 1.
    """
    if count < 1:
        raise ValueError("count must be at least 1")
    base, rest = divmod(total, count)
    if base < 1:
        raise ValueError("total has fewer minor units than parts")
    return [base + 1] * rest + [base] * (count - rest)
