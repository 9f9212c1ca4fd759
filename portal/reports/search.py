"""The search of a business: part of a word from three letters, otherwise the beginning of a word.

Rows hold their grams, hashes of three letters each with the business as the seed (portal/models/guards/search). A GIN
index finds the rows with all grams of what was typed; LIKE then checks the letters, which grams alone don't prove.
Several words are all looked for, in any order. Digits find phone numbers, numbers of plans and amounts, too.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, and_, cast, collate, false, func, literal, or_, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import InstrumentedAttribute

from portal.domain import money, typed_text
from portal.extensions import db
from portal.models import Customer, Merchant, Payment, Plan, Refund, User

MAX_WORDS: Final = 8
"""Words of what was typed that are looked for."""
FEW_CUSTOMERS: Final = 200
"""As many matching customers are named to the lists of plans and payments; beyond that, the lists ask row by row."""
_PHONE: Final = re.compile(r"[+0-9 ().-]+")
_SMALL: Final = "pg_c_utf8"
"""The collation whose lower() the grams use."""


def customers(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The rows of Customer, joined with User, whose name, phone, email or username match."""
    words = _words(typed)
    if not words:
        return false()
    phone = func.regexp_replace(Customer.phone, "[^0-9]", "", "g")
    columns = (Customer.name, User.email, User.username)
    named = and_(*(_has(merchant_id, Customer.grams, word, columns) for word in words))
    digits = re.sub("[^0-9]", "", typed).lstrip("0") if _PHONE.fullmatch(typed.strip()) else ""
    if len(digits) < 3:
        return named
    return or_(named, _has(merchant_id, Customer.grams, digits, (phone,)))


def customer_ids(merchant_id: int, typed: str) -> Select[int]:
    """The ids of the people that `customers` matches."""
    joined = select(Customer.user_id).join(User, User.id == Customer.user_id)
    return joined.where(Customer.merchant_id == merchant_id, customers(merchant_id, typed))


def plans(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The plans whose customer, description or own number match, and those with this number or this total."""
    words = _words(typed)
    if not words:
        return false()
    described = and_(*(_has(merchant_id, Plan.grams, word, (Plan.description, Plan.external_id)) for word in words))
    exact = [f"#{words[0].lstrip('#')}"] if len(words) == 1 and re.fullmatch("#?[0-9]{1,19}", words[0]) else []
    exact += [f"={minor}" for minor in _minor(merchant_id, typed)]
    numbered = [Plan.grams.contains(_hashes(merchant_id, [gram])) for gram in exact]
    return or_(described, *numbered, _of_customers(merchant_id, typed, Plan.customer_id))


def payments(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The payments of plans that `plans` matches by number or customer, and those of this amount."""
    words = _words(typed)
    if not words:
        return false()
    amounts = [Payment.amount == minor for minor in _minor(merchant_id, typed)]
    numbers = [int(words[0].lstrip("#"))] if len(words) == 1 and re.fullmatch("#?[0-9]{1,18}", words[0]) else []
    numbered = [Payment.plan_id == number for number in numbers]
    return or_(*amounts, *numbered, _of_customers(merchant_id, typed, Payment.customer_id))


def refunds(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The refunds of plans that match by number or customer, and those of this amount."""
    words = _words(typed)
    if not words:
        return false()
    currency = db.session.get_one(Merchant, merchant_id).home_currency
    amounts = [and_(Refund.currency == currency, Refund.amount == minor) for minor in _minor(merchant_id, typed)]
    numbers = [int(words[0].lstrip("#"))] if len(words) == 1 and re.fullmatch("#?[0-9]{1,18}", words[0]) else []
    numbered = [Refund.plan_id == number for number in numbers]
    return or_(*amounts, *numbered, _of_customers(merchant_id, typed, Refund.customer_id))


def labelled(merchant_id: int, metadata: Mapping[str, str]) -> ColumnElement[bool]:
    """The plans that may have all of these texts in their metadata: hashes find them, and prove nothing."""
    return Plan.grams.contains(_seeded(merchant_id, [literal(f"@{name}\x1f{text}") for name, text in metadata.items()]))


def _of_customers(merchant_id: int, typed: str, column: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    matching = customer_ids(merchant_id, typed)
    ids = db.session.scalars(matching.limit(FEW_CUSTOMERS + 1)).all()
    if len(ids) <= FEW_CUSTOMERS:
        return column.in_(ids)
    return matching.where(Customer.user_id == column).exists()


def _words(typed: str) -> list[str]:
    """The words that are looked for; none if nothing of this kind is stored."""
    try:
        text = typed_text.read(typed, limit=1_000)
    except typed_text.BadText:
        return []
    return text.split()[:MAX_WORDS]


def _minor(merchant_id: int, typed: str) -> list[int]:
    """The typed amount in minor units of the business's currency; empty if it is none."""
    currency = db.session.get_one(Merchant, merchant_id).home_currency
    text = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", typed.strip().removeprefix(currency).strip())
    try:
        return [money.parse(text, currency)]
    except money.BadAmount:
        return []


def _has(
    merchant_id: int,
    grams: InstrumentedAttribute[list[int]],
    word: str,
    columns: Sequence[Any],
) -> ColumnElement[bool]:
    """The row has this word in one of the columns."""
    if len(word) < 3:
        return grams.contains(_hashes(merchant_id, [f"^{word}"]))
    parts = [word[place : place + 3] for place in range(len(word) - 2)]
    found = grams.contains(_hashes(merchant_id, list(dict.fromkeys(parts))))
    small = func.lower(collate(literal(word), _SMALL))
    return and_(found, or_(*(func.strpos(func.lower(collate(column, _SMALL)), small) > 0 for column in columns)))


def _hashes(merchant_id: int, grams: Sequence[str]) -> ColumnElement[Any]:
    return _seeded(merchant_id, [func.lower(collate(literal(gram), _SMALL)) for gram in grams])


def _seeded(merchant_id: int, texts: Sequence[Any]) -> ColumnElement[Any]:
    """PostgreSQL computes the hashes while it plans the query, so that it estimates with them."""
    seed = cast(literal(merchant_id), BigInteger)
    hashes: list[Any] = [func.hashtextextended(text, seed) for text in texts]
    return array(hashes, type_=BigInteger())
