"""Which column of a file holds which field: guessed from its names in English and Arabic, or chosen by a person."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, get_args

from portal.domain import schedule
from portal.domain.schedule import INTERVALS, Interval
from portal.errors import Fault
from portal.models.plans.imports import ImportKind
from portal.services.imports.files import Sheet

Field = Literal[
    "customer_email",
    "name",
    "phone",
    "note",
    "total_amount",
    "currency",
    "num_installments",
    "interval",
    "start_date",
    "deposit",
    "description",
    "external_id",
]
DateOrder = Literal["day", "month"]
DATE_ORDERS: Final[tuple[DateOrder, ...]] = get_args(DateOrder)
"""The first part of a date like 03/04/2026."""

FIELDS: Final[dict[ImportKind, tuple[Field, ...]]] = {
    "plans": tuple(name for name in get_args(Field) if name != "note"),
    "customers": ("customer_email", "name", "phone", "note"),
}
REQUIRED: Final[dict[ImportKind, tuple[Field, ...]]] = {
    "plans": ("customer_email", "total_amount", "start_date"),
    "customers": ("customer_email",),
}
"""Fields that need a column."""

_NAMES: Final[dict[Field, str]] = {
    "customer_email": "email, e mail, customer email, customer e mail, client email, buyer email, email address, mail, "
    "البريد, البريد الالكتروني, الايميل, ايميل, بريد العميل, بريد الزبون, ايميل العميل",
    "name": "name, customer, customer name, client, client name, full name, buyer, "
    "الاسم, اسم العميل, العميل, اسم الزبون, الزبون, الاسم الكامل, اسم المشتري",
    "phone": "phone, mobile, telephone, phone number, mobile number, tel, cell, whatsapp, customer phone, "
    "الهاتف, الجوال, رقم الهاتف, رقم الجوال, جوال, هاتف, الموبايل, رقم الموبايل, واتساب, جوال العميل",
    "note": "note, notes, remark, remarks, comment, comments, customer note, ملاحظه, ملاحظات, تعليق",
    "total_amount": "total, amount, total amount, price, sum, total price, value, balance, amount due, remaining, "
    "المبلغ, الاجمالي, المجموع, المبلغ الاجمالي, اجمالي المبلغ, السعر, القيمه, المتبقي, الرصيد",
    "currency": "currency, currency code, العمله, رمز العمله",
    "num_installments": "installments, instalments, number of installments, number of instalments, payments, months, "
    "number of payments, count, no of installments, num installments, "
    "الاقساط, عدد الاقساط, عدد الدفعات, الدفعات, عدد الاشهر, الاشهر",
    "interval": "interval, every, frequency, how often, period, التكرار, الدوريه, الفتره, كل",
    "start_date": "first due date, start date, first due, due date, first payment, start, first date, due, date, "
    "first installment, first instalment, "
    "تاريخ اول قسط, اول قسط, تاريخ البدء, تاريخ البدايه, تاريخ الاستحقاق, الاستحقاق, التاريخ, اول دفعه, "
    "تاريخ اول دفعه",
    "deposit": "deposit, down payment, advance, الدفعه الاولي, دفعه اولي, الدفعه المقدمه, مقدم, عربون",
    "description": "purchase, description, item, product, what was bought, goods, order, items, "
    "المشتريات, الوصف, المنتج, البضاعه, السلعه, الصنف, الطلب",
    "external_id": "number, id, external id, reference, ref, invoice, invoice number, order number, order id, no, "
    "contract, contract number, plan number, "
    "الرقم, رقم الطلب, رقم الفاتوره, المرجع, رقم العقد, العقد, رقم المرجع",
}
"""The names by which a field is known, as `_plain` writes them."""
_BY_NAME: Final = {name.strip(): known for known, names in _NAMES.items() for name in names.split(",")}
_DATE: Final = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-][0-9]{4}")


@dataclass(frozen=True, slots=True)
class Matching:
    """Columns by field, counted from 0; how the dates of the file are written; and what counts for every plan where
    the file has no column for it.
    """

    columns: dict[Field, int] = field(default_factory=dict)
    date_order: DateOrder = "day"
    interval: Interval = "monthly"
    num_installments: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def of_json(stored: Mapping[str, Any]) -> Matching:
    """The matching of an import's row."""
    return Matching(**stored)


def guess(sheet: Sheet, kind: ImportKind) -> Matching:
    """The matching that the names of the columns and the dates under them suggest. The first of two names counts."""
    columns: dict[Field, int] = {}
    for place, name in enumerate(sheet.names):
        known = _BY_NAME.get(_plain(name))
        if known in FIELDS[kind]:
            columns.setdefault(known, place)
    order: DateOrder = "day"
    if (dates := columns.get("start_date")) is not None:
        parts = [match for row in sheet.rows if (match := _DATE.match(digits(sheet.cell(row, dates))))]
        if any(int(match[2]) > 12 for match in parts):
            order = "month"
    return Matching(columns, order)


def faults(matching: Matching, kind: ImportKind, width: int) -> list[Fault]:
    """The faults of a matching for a file of `width` columns: required on each missing field (`about` column),
    bad_choice on columns; for plans bad_count on num_installments (no column and no number), bad_interval on interval,
    bad_choice on date_order.
    """
    found = [Fault(name, "required", about="column") for name in REQUIRED[kind] if name not in matching.columns]
    if any(name not in FIELDS[kind] or not 0 <= place < width for name, place in matching.columns.items()):
        found.append(Fault("columns", "bad_choice"))
    if kind == "customers":
        return found
    if "num_installments" not in matching.columns:
        limit = schedule.MAX_INSTALLMENTS
        if matching.num_installments is None or not 1 <= matching.num_installments <= limit:
            found.append(Fault("num_installments", "bad_count", limit=limit))
    if matching.interval not in INTERVALS:
        found.append(Fault("interval", "bad_interval"))
    if matching.date_order not in DATE_ORDERS:
        found.append(Fault("date_order", "bad_choice"))
    return found


def digits(text: str) -> str:
    """The text with the decimal digits of every script as ASCII digits."""
    return "".join(str(unicodedata.decimal(sign, sign)) for sign in text)


def _plain(name: str) -> str:
    """A name without case, marks and signs, and with one form of each Arabic letter."""
    text = unicodedata.normalize("NFKD", name.casefold())
    text = "".join(sign for sign in text if unicodedata.category(sign)[0] != "M" and sign != "ـ")
    text = text.replace("أ", "ا").replace("إ", "ا").replace("آ", "ا").replace("ة", "ه").replace("ى", "ي")
    text = re.sub(r"\(.*?\)|[^\w]|_", " ", text)
    return " ".join(text.split())
