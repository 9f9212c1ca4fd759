"""Template filters that format values, and the variables of every template."""

from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from types import BuiltinMethodType, FunctionType, GeneratorType, MethodType, NoneType
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.support import NullTranslations
from flask import Flask, current_app, g, has_request_context, request
from flask_babel import gettext as _
from flask_babel import pgettext
from jinja2.runtime import Context, Macro

from portal.domain import money
from portal.domain.permissions import Permission
from portal.models import Installment, Merchant, Payment, Plan, User
from portal.reports.merchants.customers import Customer
from portal.services.accounts.hats import Hat
from portal.web.authorization import my_actor, signed_in_user, start_page
from portal.web.middleware import language, theme
from portal.wording.dates import day, month_name, month_year, short_day
from portal.wording.language import catalogue
from portal.wording.lazy import lazy_gettext as _l

EVALUATION: Final[object] = getattr(Macro.__call__, "jinja_pass_arg")  # noqa: B009
"""How Jinja marks a function that takes the context of evaluation first."""
PLAIN: Final = frozenset({int, str, date, NoneType})
"""The types of values of which an address is made once. True and False are of none: `_external` asks for the host."""
SHORT: Final = 32
"""Characters of a short text. The secrets in addresses have more: they are not kept."""
LAYOUTS = {"merchant": "layout/merchant.html", "customer": "layout/customer.html"}
START_LABELS = {
    "merchant": _l("Dashboard"),
    "customer": _l("My plans"),
    "operator": _l("Operator"),
    "unproven": _l("Prove your email"),
}


def init_app(app: Flask) -> None:
    for function in (
        amount,
        day,
        short_day,
        month_name,
        month_year,
        moment,
        clock_time,
        iso,
        days_late,
        business,
        name_of,
        customer_of,
    ):
        app.add_template_filter(function)
        app.add_template_global(function)
    app.context_processor(shell_variables)
    app.jinja_env.context_class = Calls
    app.jinja_env.globals.update(url_for=_url_for(app), once=Once)


class Calls(Context):
    """Calls macros, functions and methods at once. Jinja asks each callable how it takes its context, at half the cost.

    A class, an object that can be called, and a function that takes the whole context go Jinja's way.
    """

    def call(self, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        kind = type(called)
        if kind is Macro:
            args = (self.eval_ctx, *args)
        elif kind is FunctionType or kind is MethodType:
            passed = getattr(called, "jinja_pass_arg", None)
            if passed is EVALUATION:
                args = (self.eval_ctx, *args)
            elif passed is not None:
                return super().call(called, *args, **kwargs)
        elif kind is not BuiltinMethodType and kind is not Once:
            return super().call(called, *args, **kwargs)
        if kwargs:
            kwargs.pop("_block_vars", None)
            kwargs.pop("_loop_vars", None)
        return called(*args, **kwargs)


class Once:
    """A macro whose markup depends on its arguments and the reader's language alone: drawn once for the latest ones.

    A list of pages has the same few icons, badges and rows of segments dozens of times. An argument that is a list or a
    generator is read as a tuple; every other one has to be hashable. Text and markup are told apart.
    """

    def __init__(self, macro: Macro) -> None:
        self._macro = macro
        self._drawn = lru_cache(maxsize=1_024)(self._draw)

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        values = [
            tuple(value) if isinstance(value, list | GeneratorType) else value for value in (*args, *kwargs.values())
        ]
        return self._drawn(catalogue(), tuple(kwargs), tuple(map(type, values)), *values)

    def _draw(self, _catalogue: NullTranslations, names: tuple[str, ...], _types: object, *values: Any) -> str:
        positional = len(values) - len(names)
        named = dict(zip(names, values[positional:], strict=True))
        return self._macro(*values[:positional], **named)


def _url_for(app: Flask) -> Callable[..., str]:
    """url_for of templates. An address of ids, days and short texts is made once: a page has dozens of them."""

    @lru_cache(maxsize=4_096)
    def made_once(script_root: str, endpoint: str, values: tuple[tuple[str, Any], ...]) -> str:
        return app.url_for(endpoint, **dict(values))

    def url_for(endpoint: str, **values: Any) -> str:
        for value in values.values():
            if type(value) not in PLAIN or (type(value) is str and len(value) > SHORT):
                return app.url_for(endpoint, **values)
        if endpoint == "static" or not has_request_context():
            return app.url_for(endpoint, **values)
        return made_once(request.script_root, endpoint, tuple(values.items()))

    return url_for


def url_for(endpoint: str, **values: Any) -> str:
    """url_for of templates, for code that makes many addresses."""
    of_templates: Any = current_app.jinja_env.globals["url_for"]
    return str(of_templates(endpoint, **values))


def amount(minor: int, currency: str) -> str:
    """Minor units of a currency: "SAR 1,200.00"."""
    return money.show(minor, currency)


def moment(value: datetime, zone: str = "UTC") -> str:
    """An aware instant in local time of `zone`: "23 Nov 2026, 14:05"."""
    local = value.astimezone(ZoneInfo(zone))
    return str(pgettext("moment", "%(day)s, %(time)s", day=day(local), time=f"{local:%H:%M}"))


def clock_time(value: datetime, zone: str = "UTC") -> str:
    """An aware instant in local time of `zone`: "14:05"."""
    return f"{value.astimezone(ZoneInfo(zone)):%H:%M}"


def iso(value: date | datetime) -> str:
    """ISO 8601, for the datetime attribute of <time>."""
    return value.isoformat()


def days_late(installment: Installment) -> int:
    """Days between the due date and the merchant's today; 0 unless the installment is late."""
    if installment.status != "late":
        return 0
    return installment.days_past_due(installment.plan.today)


def business(party: Plan | Merchant) -> str:
    """The business name of a merchant, or of the merchant of a plan."""
    merchant = party.merchant if isinstance(party, Plan) else party
    return merchant.business_name


def name_of(user: User) -> str:
    """The name that others see: the username, the email of an unclaimed record, or words for an erased person."""
    return str(_("Erased customer")) if user.erased_at is not None else user.display_name


def customer_of(row: Plan | Payment | Customer) -> str:
    """The customer of a plan or payment, or a customer, for the business: its own name of them, else `name_of`."""
    if isinstance(row, Customer):
        return row.name or name_of(row.user)
    return row.pair_name or name_of(row.customer)


def may(permission: Permission) -> bool:
    """The signed-in person has this permission under their hat."""
    return signed_in_user() is not None and my_actor().may(permission)


def shell_variables() -> dict[str, Any]:
    """Variables of the page layouts: the signed-in person with their hats, the theme, and
    the languages of the switch.

    `may("refund")` says whether the person has a permission, for buttons. `stage` is that of the hat's business.
    """
    if not has_request_context():
        return {}
    user = signed_in_user()
    kind = "" if user is None else my_actor().hat if my_actor().is_proven else "unproven"
    hats: tuple[Hat, ...] = g.hats if user is not None else ()
    return {
        "theme": theme.current_theme(),
        "other_languages": language.choices(),
        "shell": LAYOUTS.get(kind, "layout/public.html"),
        "business_name": next((hat.name for hat in hats if hat.active), ""),
        "stage": next((hat.stage for hat in hats if hat.active), ""),
        "person_name": user.display_name if user is not None else "",
        "start_href": start_page(user),
        "hats": hats if len(hats) > 1 else (),
        "may": may,
        "start_text": START_LABELS.get(kind, ""),
    }
