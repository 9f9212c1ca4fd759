"""The search of a business: part of a word from three letters, otherwise the beginning of a word.

The grams of rows are hashes of three letters each with the business as the seed (portal/models/guards/search). A GIN
index finds those with all grams of what was typed; LIKE then checks the letters, which grams alone don't prove.
Several words are all looked for, in any order. Digits find phone numbers, numbers of plans and amounts, too.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Engine,
    Select,
    Text,
    and_,
    any_,
    collate,
    false,
    func,
    literal,
    or_,
    select,
    text,
    true,
    union,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import InstrumentedAttribute

from portal.domain import money, typed_text
from portal.domain.identifiers import MAX_ID
from portal.extensions import db, session
from portal.models import Contact, Customer, Installment, LedgerEntry, Merchant, Payment, Plan, PlanGrams, Refund, User
from portal.reports.tallies import LIMIT

MAX_WORDS: Final = 8
"""Words of what was typed that are looked for."""
MANY: Final = LIMIT
"""As many matching plans are named to the lists of plans and payments; beyond that, the lists ask row by row."""
MAX_CANDIDATES: Final = 200_000
"""As many plans are named to the lists that then ask those rows; beyond that, they ask each row that they pass."""
MAX_PEOPLE: Final = 2_000
"""As many matching customers are named; beyond that, the customer of each plan is asked."""
_KEPT_SECONDS: Final = 600.0
"""How long a process remembers the grams that are too common, which change as slowly as a shop grows."""
_COMMON: Final = text("""
    SELECT hash
    FROM pg_stats JOIN pg_class ON pg_class.oid = CAST('plan_grams' AS regclass),
         ROWS FROM (unnest(CAST(CAST(most_common_elems AS text) AS bigint[])), unnest(most_common_elem_freqs))
         AS common (hash, freq)
    WHERE tablename = relname AND CAST(quote_ident(schemaname) AS regnamespace) = relnamespace AND attname = 'grams'
      AND freq * reltuples > :limit AND hash IS NOT NULL
""")
_kept: Final[WeakKeyDictionary[Engine, tuple[float, frozenset[int]]]] = WeakKeyDictionary()
_PHONE: Final = re.compile(r"[+0-9 ().-]+")
_SMALL: Final = "pg_c_utf8"
"""The collation whose lower() the grams use."""
_OF_PLAN: Final = Plan.description, Plan.external_id


@dataclass(frozen=True, slots=True)
class _Found:
    """The plans that match: their `ids` as the text of an array, or None for more than MANY.

    `candidates` is such an array, which all of them are among; None for more than MAX_CANDIDATES. `people` are the
    customers that match; None for more than MAX_PEOPLE.
    """

    ids: str | None
    candidates: str | None = None
    people: Sequence[int] | None = None


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
    """The plans whose customer, description or own number match, and those with this number or this total."""
    found = _find_plans(merchant_id, typed)
    if found.ids is not None:
        return Plan.id == any_(_array(found.ids))
    matches = _matches(merchant_id, typed, found.people)
    return matches if found.candidates is None else and_(Plan.id == any_(_array(found.candidates)), matches)


def finds_many(merchant_id: int | None, typed: str | None) -> bool:
    """Whether more than MANY plans of this business match. To count their rows would take as long as to read them."""
    if merchant_id is None or typed is None or not typed.strip():
        return False
    return _find_plans(merchant_id, typed).ids is None


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
    found = _find_plans(merchant_id, typed)
    if found.ids is not None:
        of_plans = table.plan_id == any_(_array(found.ids))
    else:
        plan = select(_matches(merchant_id, typed, found.people)).where(Plan.id == table.plan_id)
        of_plans = plan.correlate(table).scalar_subquery().is_(True)
        if found.candidates is not None:
            of_plans = and_(_among(table.plan_id, _array(found.candidates)), of_plans)
    amounts = _minor(merchant_id, typed)
    if not amounts:
        return of_plans
    home = db.session.get_one(Merchant, merchant_id).home_currency
    either = amounts + [-minor for minor in amounts]
    return or_(of_plans, and_(table.merchant_id == merchant_id, currency == home, amount.in_(either)))


def labelled(merchant_id: int, metadata: Mapping[str, str]) -> ColumnElement[bool]:
    """The plans that may have all of these texts in their metadata: hashes find them, and prove nothing."""
    hashes = _seeded(merchant_id, [literal(f"@{name}\x1f{text}") for name, text in metadata.items()])
    found = select(PlanGrams.plan_id).where(PlanGrams.merchant_id == merchant_id, PlanGrams.grams.contains(hashes))
    return Plan.id.in_(found)


def _find_plans(merchant_id: int, typed: str) -> _Found:
    """The matching plans. Read once until the session writes."""
    known = session().known
    key = "matching plans", merchant_id, typed.strip()
    if key not in known:
        known[key] = _read_plans(merchant_id, typed)
    return cast(_Found, known[key])


def _read_plans(merchant_id: int, typed: str) -> _Found:
    """Name the candidates by their grams, and look at each. If they are too many, read MANY matching plans and one."""
    words = _words(typed)
    if not words:
        return _Found("{}")
    found = db.session.scalars(customer_ids(merchant_id, typed).limit(MAX_PEOPLE + 1)).all()
    people = found if len(found) <= MAX_PEOPLE else None
    candidates = None if people is None else _candidates(merchant_id, typed, people)
    if candidates is None:
        matching = _first_matches(merchant_id, typed)
    else:
        named = select(Plan.id).where(Plan.merchant_id == merchant_id, Plan.id == any_(_array(candidates)))
        matching = named.where(_matches(merchant_id, typed, people)).limit(MANY + 1)
    return _Found(_named(matching, MANY), candidates, people)


def _named(query: Select[int], limit: int) -> str | None:
    """The ids that the query finds, as an array; None if they are more than the limit. Python reads none of them."""
    found = query.subquery()
    (column,) = found.c
    ids = sql_cast(func.coalesce(func.array_agg(column), literal([], ARRAY(BigInteger))), Text)
    count, named = db.session.execute(select(func.count(), ids).select_from(found)).one()
    return str(named) if count <= limit else None


def _candidates(merchant_id: int, typed: str, people: Sequence[int]) -> str | None:
    """The plans that may match, and all that do, as an array; None for more than MAX_CANDIDATES."""
    words = _words(typed)
    grams = _telling_grams(merchant_id, words)
    if not grams:
        return None
    own = select(PlanGrams.plan_id.label("id")).where(PlanGrams.merchant_id == merchant_id)
    ways = [own.where(PlanGrams.grams.contains(_hashes(merchant_id, grams)))]
    totals = (_hashes(merchant_id, [f"={total}"]) for total in _minor(merchant_id, typed))
    ways += [own.where(PlanGrams.grams.contains(total)) for total in totals]
    plan = select(Plan.id).where(Plan.merchant_id == merchant_id)
    if (number := _number(words)) is not None:
        ways.append(plan.where(Plan.id == number))
    if people:
        ways.append(plan.where(Plan.customer_id == any_(_ids(people))))
    found = union(*(way.limit(MAX_CANDIDATES + 1) for way in ways)).subquery()
    return _named(select(found.c.id), MAX_CANDIDATES)


def _telling_grams(merchant_id: int, words: Sequence[str]) -> list[str]:
    """The grams of the words, without those of more than MAX_CANDIDATES plans: to intersect these costs most."""
    grams = list(dict.fromkeys(gram for word in words for gram in _grams(word)))
    common = _common_hashes()
    if not common:
        return grams
    hashes = db.session.execute(select(_hashes(merchant_id, grams))).scalar_one()
    return [gram for gram, number in zip(grams, hashes, strict=True) if number not in common]


def _common_hashes() -> frozenset[int]:
    """The hashes of grams in more than MAX_CANDIDATES plans, as PostgreSQL knew when it last analyzed the table."""
    now = time.monotonic()
    expires_at, hashes = _kept.get(db.engine, (now, frozenset()))
    if expires_at <= now:
        hashes = frozenset(db.session.scalars(_COMMON, {"limit": MAX_CANDIDATES}))
        _kept[db.engine] = now + _KEPT_SECONDS, hashes
    return hashes


def _first_matches(merchant_id: int, typed: str) -> Select[int]:
    """The ids of matching plans, of which at most one more than MANY is read.

    Each way to match is a range of an index of its own.
    """
    words = _words(typed)
    number, totals = _number(words), _minor(merchant_id, typed)
    with_grams = select(Plan.id).join(PlanGrams, PlanGrams.plan_id == Plan.id)
    with_grams = with_grams.where(Plan.merchant_id == merchant_id, PlanGrams.merchant_id == merchant_id)
    grams = (PlanGrams.grams.contains(_hashes(merchant_id, _grams(word))) for word in words)
    ways = [with_grams.where(*grams, *(_has_letters(word, _OF_PLAN) for word in words))]
    if number is not None:
        ways.append(select(Plan.id).where(Plan.merchant_id == merchant_id, Plan.id == number))
    for total in totals:
        gram = PlanGrams.grams.contains(_hashes(merchant_id, [f"={total}"]))
        ways.append(with_grams.where(gram, Plan.total == total))
    theirs = and_(Plan.merchant_id == Customer.merchant_id, Plan.customer_id == Customer.user_id)
    people = select(Plan.id).join(Customer, theirs).join(User, User.id == Customer.user_id)
    ways.append(people.where(Customer.merchant_id == merchant_id, customers(merchant_id, typed)))
    found = union(*(way.limit(MANY + 1) for way in ways)).subquery()
    return select(found.c.id).limit(MANY + 1)


def _matches(merchant_id: int, typed: str, people: Sequence[int] | None) -> ColumnElement[bool]:
    """Whether a row of Plan matches. `people` are the customers that match; None if they are very many.

    A scalar subquery is run for each row. For another kind PostgreSQL would read all customers before the first row.
    """
    words = _words(typed)
    short = [_hashes(merchant_id, _grams(word)) for word in words if len(word) < 3]
    own = [_has_letters(word, _OF_PLAN) for word in words if len(word) >= 3]
    if short:
        begins = select(and_(*map(PlanGrams.grams.contains, short))).where(PlanGrams.plan_id == Plan.id)
        own.append(begins.correlate(Plan).scalar_subquery().is_(True))
    number = _number(words)
    exact = [Plan.total == total for total in _minor(merchant_id, typed)] + ([Plan.id == number] if number else [])
    if people is None:
        person = customer_ids(merchant_id, typed).with_only_columns(true()).where(Customer.user_id == Plan.customer_id)
        theirs = person.limit(1).correlate(Plan).scalar_subquery().is_(True)
        return or_(and_(*own), *exact, theirs)
    return or_(*([_among(Plan.customer_id, _ids(people))] if people else []), *exact, and_(*own))


def _number(words: Sequence[str]) -> int | None:
    """The number of a plan that was typed."""
    if len(words) != 1 or not re.fullmatch("#?[0-9]{1,19}", words[0]):
        return None
    number = int(words[0].lstrip("#"))
    return number if number <= MAX_ID else None


def _ids(ids: Sequence[int]) -> BindParameter[Sequence[int]]:
    return literal(ids, ARRAY(BigInteger))


def _array(ids: str) -> ColumnElement[Sequence[int]]:
    return sql_cast(literal(ids, Text), ARRAY(BigInteger))


def _among(column: InstrumentedAttribute[int], ids: ColumnElement[Sequence[int]]) -> ColumnElement[bool]:
    """The column is one of very many numbers: hashed once for a statement, and asked for each row that it looks at."""
    return column.in_(select(func.unnest(ids))).is_(True)


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
