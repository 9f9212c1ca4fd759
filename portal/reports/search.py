"""The search of a business: part of a word from three letters, otherwise the beginning of a word.

The grams of rows are hashes of three letters each with the business as the seed (portal/models/guards/search). A GIN
index finds those with all grams of what was typed; LIKE then checks the letters, which grams alone don't prove.
Several words are all looked for, in any order. Digits find phone numbers, numbers of plans and amounts, too.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    collate,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import InstrumentedAttribute

from portal.domain import money, typed_text
from portal.extensions import db
from portal.models import Contact, Customer, Installment, LedgerEntry, Merchant, Payment, Plan, PlanGrams, Refund, User

MAX_WORDS: Final = 8
"""Words of what was typed that are looked for."""
FEW_CUSTOMERS: Final = 200
"""As many matching customers are named to the lists of plans and payments; beyond that, the lists ask row by row."""
_PHONE: Final = re.compile(r"[+0-9 ().-]+")
_SMALL: Final = "pg_c_utf8"
"""The collation whose lower() the grams use."""


def customers(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The rows of Customer, joined with User, whose name, phone, email or username match."""
    return _people(merchant_id, typed, Customer, (Customer.name, User.email, User.username))


def contacts(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The rows of Contact, people without a plan, whose name, phone or email match."""
    return _people(merchant_id, typed, Contact, (Contact.name, Contact.email))


def _people(
    merchant_id: int, typed: str, table: type[Customer] | type[Contact], columns: Sequence[Any]
) -> ColumnElement[bool]:
    words = _words(typed)
    if not words:
        return false()
    named = and_(*(_has(merchant_id, table.grams, word, columns) for word in words))
    digits = re.sub("[^0-9]", "", typed).lstrip("0") if _PHONE.fullmatch(typed.strip()) else ""
    if len(digits) < 3:
        return named
    phone = func.regexp_replace(table.phone, "[^0-9]", "", "g")
    return or_(named, _has(merchant_id, table.grams, digits, (phone,)))


def customer_ids(merchant_id: int, typed: str) -> Select[int]:
    """The ids of the people that `customers` matches."""
    joined = select(Customer.user_id).join(User, User.id == Customer.user_id)
    return joined.where(Customer.merchant_id == merchant_id, customers(merchant_id, typed))


def plans(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The plans whose customer, description or own number match, and those with this number or this total.

    The table of grams leads to the plans, or a list of plans in its order to their grams: PostgreSQL chooses.
    """
    words = _words(typed)
    if not words:
        return false()
    number = words[0].lstrip("#") if len(words) == 1 and re.fullmatch("#?[0-9]{1,19}", words[0]) else None
    totals = _minor(merchant_id, typed)
    whole = [f"#{number}"] if number else []
    whole += [f"={minor}" for minor in totals]
    ids = _few_customers(merchant_id, typed)
    grams = and_(*(PlanGrams.grams.contains(_hashes(merchant_id, _grams(word))) for word in words))
    wholes = [PlanGrams.grams.contains(_hashes(merchant_id, [gram])) for gram in whole]
    theirs = _is_one_of(merchant_id, typed, ids, PlanGrams.customer_id)
    found = select(PlanGrams.plan_id).where(PlanGrams.merchant_id == merchant_id, or_(grams, *wholes, theirs))
    exact = [Plan.total == minor for minor in totals]
    if number and int(number) < 2**63:
        exact.append(Plan.id == int(number))
    letters = and_(true(), *(_has_letters(word, (Plan.description, Plan.external_id)) for word in words))
    return and_(Plan.id.in_(found), or_(letters, *exact, _is_one_of(merchant_id, typed, ids, Plan.customer_id)))


def installments(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The installments of plans that `plans` matches, and those of this amount in the home currency."""
    return _of_plans(merchant_id, typed, Installment, Installment.amount, Installment.currency)


def payments(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The payments of plans that `plans` matches, and those of this amount in the home currency."""
    return _of_plans(merchant_id, typed, Payment, Payment.amount, Payment.currency)


def refunds(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The refunds of plans that `plans` matches, and those of this amount in the home currency."""
    return _of_plans(merchant_id, typed, Refund, Refund.amount, Refund.currency)


def movements(merchant_id: int, typed: str) -> ColumnElement[bool]:
    """The ledger entries of plans that `plans` matches, and those that moved this amount of the home currency."""
    return _of_plans(merchant_id, typed, LedgerEntry, LedgerEntry.collected, LedgerEntry.collected_currency)


def _of_plans(
    merchant_id: int,
    typed: str,
    table: type[Installment] | type[Payment] | type[Refund] | type[LedgerEntry],
    amount: Any,
    currency: Any,
) -> ColumnElement[bool]:
    """The rows of plans that match, and those of the typed amount, of either sign, in the home currency."""
    found = select(Plan.id).where(Plan.merchant_id == merchant_id, plans(merchant_id, typed))
    amounts = _minor(merchant_id, typed)
    if not amounts:
        return table.plan_id.in_(found)
    home = db.session.get_one(Merchant, merchant_id).home_currency
    either = amounts + [-minor for minor in amounts]
    rows = union_all(
        select(table.id).where(table.plan_id.in_(found)),
        select(table.id).where(table.merchant_id == merchant_id, currency == home, amount.in_(either)),
    )
    return table.id.in_(rows)


def labelled(merchant_id: int, metadata: Mapping[str, str]) -> ColumnElement[bool]:
    """The plans that may have all of these texts in their metadata: hashes find them, and prove nothing."""
    hashes = _seeded(merchant_id, [literal(f"@{name}\x1f{text}") for name, text in metadata.items()])
    found = select(PlanGrams.plan_id).where(PlanGrams.merchant_id == merchant_id, PlanGrams.grams.contains(hashes))
    return Plan.id.in_(found)


def _few_customers(merchant_id: int, typed: str) -> Sequence[int] | None:
    """The ids of the matching customers; None if they are more than FEW_CUSTOMERS."""
    ids = db.session.scalars(customer_ids(merchant_id, typed).limit(FEW_CUSTOMERS + 1)).all()
    return ids if len(ids) <= FEW_CUSTOMERS else None


def _is_one_of(merchant_id: int, typed: str, ids: Sequence[int] | None, column: Any) -> ColumnElement[bool]:
    """The column holds one of the matching customers: `ids`, or asked row by row."""
    if ids is not None:
        return cast(ColumnElement[bool], column.in_(ids))
    return customer_ids(merchant_id, typed).where(Customer.user_id == column).exists()


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
    text = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", typed)
    try:
        return [money.parse_typed(text, currency)]
    except money.BadAmount:
        return []


def _has(
    merchant_id: int,
    grams: InstrumentedAttribute[list[int]],
    word: str,
    columns: Sequence[Any],
) -> ColumnElement[bool]:
    """The row has this word in one of the columns."""
    return and_(grams.contains(_hashes(merchant_id, _grams(word))), _has_letters(word, columns))


def _grams(word: str) -> list[str]:
    """The grams of a word: all its three letters, or its beginning if it has fewer."""
    if len(word) < 3:
        return [f"^{word}"]
    return list(dict.fromkeys(word[place : place + 3] for place in range(len(word) - 2)))


def _has_letters(word: str, columns: Sequence[Any]) -> ColumnElement[bool]:
    """One of the columns has the letters of the word. The gram of a beginning needs no second look."""
    if len(word) < 3:
        return true()
    small = func.lower(collate(literal(word), _SMALL))
    return or_(*(func.strpos(func.lower(collate(column, _SMALL)), small) > 0 for column in columns))


def _hashes(merchant_id: int, grams: Sequence[str]) -> ColumnElement[Any]:
    return _seeded(merchant_id, [func.lower(collate(literal(gram), _SMALL)) for gram in grams])


def _seeded(merchant_id: int, texts: Sequence[Any]) -> ColumnElement[Any]:
    """PostgreSQL computes the hashes while it plans the query, so that it estimates with them."""
    seed = sql_cast(literal(merchant_id), BigInteger)
    hashes: list[Any] = [func.hashtextextended(text, seed) for text in texts]
    return array(hashes, type_=BigInteger())
