"""The merchant of the token: its settings and its customers."""

from dataclasses import fields

import msgspec
from flask import Blueprint
from spectree.models import Tag

from portal import access, models
from portal.api import parsing, ranges, schemas
from portal.api.callers import caller, merchant
from portal.api.endpoints import endpoint, list_headers
from portal.errors import Fault
from portal.extensions import db
from portal.reports.merchants import customers, team
from portal.reports.merchants.filters import CustomerFilters
from portal.reports.tallies import Count
from portal.services.accounts.merchant_settings import merchant_faults
from portal.services.books import letterheads
from portal.services.books.letterheads import Words
from portal.services.notices import settings
from portal.services.plans import pairs

bp = Blueprint("api_merchants", __name__)
TAG = Tag("Merchant", "The merchant of the token, and the people who have plans with it.")


@endpoint(bp, "GET", "/api/merchant/", ok={200: schemas.Merchant}, tag=TAG, needs="view")
def show() -> schemas.Merchant:
    """Your merchant and its settings"""
    return _described(merchant())


@endpoint(
    bp,
    "PATCH",
    "/api/merchant/",
    ok={200: schemas.Merchant},
    tag=TAG,
    needs="settings",
    writes=True,
    refuses={422: ("currency_fixed", "owners_zone", "zone_before_closing")},
)
def update(json: schemas.MerchantChange) -> schemas.Merchant:
    """Change settings

    Time zone, grace days and withdrawal days count for plans made afterwards. Only an owner changes the time zone.
    Address, tax number, email and phone are the letterhead of receipts and statements.
    """
    row = merchant()
    letterheads.change_merchant(caller().actor, *schemas.merchant_settings(json, row))
    db.session.expire_all()
    return _described(db.session.get_one(type(row), row.id))


@parsing.further_faults(schemas.MerchantChange)
def _setting_faults(values: parsing.Values) -> list[Fault]:
    row = merchant()
    named = {field: values.get(field) for field in ("business_name", "time_zone", "home_currency")}
    chosen = {field: getattr(row, field) if value is None else value for field, value in named.items()}
    words = Words(**{field.name: values.get(field.name) for field in fields(Words)})
    return merchant_faults(**chosen) + letterheads.word_faults(words)


def _described(row: models.Merchant) -> schemas.Merchant:
    return schemas.merchant(row, models.Letterhead.of(row.id))


@endpoint(bp, "GET", "/api/merchant/notices/", ok={200: schemas.NoticeChoice}, tag=TAG, needs="settings")
def show_notices() -> schemas.NoticeChoice:
    """The mails about your merchant that you get

    Yours alone, as an owner or a manager. Without a choice all are on, in one digest a day.
    """
    return schemas.notice_choice(settings.choice_of(caller().id, merchant().id))


@endpoint(bp, "PATCH", "/api/merchant/notices/", ok={200: schemas.NoticeChoice}, tag=TAG, needs="settings", writes=True)
def update_notices(json: schemas.NoticeChange) -> schemas.NoticeChoice:
    """Change which mails about your merchant you get

    It changes nothing for other members. Mails about your own account and plans do not depend on it.
    """
    chosen = settings.choose(caller().actor, on=json.on, at_once=json.at_once)
    return schemas.notice_choice(chosen)


@endpoint(bp, "GET", "/api/team/", ok={200: list[schemas.TeamMember]}, tag=TAG, needs="team")
def team_index(query: schemas.ListQuery) -> tuple[list[schemas.TeamMember], int, dict[str, str]]:
    """List the members of your team

    In the order in which they joined. For owners; an API key can't read it.
    """
    row = merchant()
    members = [schemas.team_member(member, row) for member in team.members(row.id)]
    return members, 200, list_headers(query, lambda: Count(len(members)), None)


@endpoint(bp, "GET", "/api/customers/", ok={200: list[schemas.Customer]}, tag=TAG, needs="view")
def customers_index(query: schemas.CustomerQuery) -> tuple[list[schemas.Customer], int, dict[str, str]]:
    """List your customers

    Newest account first. The next page is in the Link header.
    """
    created = ranges.between(query.created_after, query.created_before)
    filters = CustomerFilters(show=query.show, search=query.search, email=query.email, created=created)
    page = customers.list_customers(merchant(), filters, limit=query.limit, cursor=query.cursor)
    return (
        [schemas.customer(row) for row in page.items],
        200,
        list_headers(query, lambda: customers.count_customers(merchant(), filters), page.next_cursor),
    )


@endpoint(bp, "GET", "/api/customers/<row:customer_id>/", ok={200: schemas.Customer}, tag=TAG, needs="view")
def customers_show(customer_id: int) -> schemas.Customer:
    """One customer"""
    user = access.my_customer(caller().actor, customer_id)
    (row,) = customers.describe(merchant().id, [user.id])
    return schemas.customer(row)


@endpoint(
    bp,
    "PATCH",
    "/api/customers/<row:customer_id>/",
    ok={200: schemas.Customer},
    tag=TAG,
    needs="note",
    writes=True,
    refuses={422: ("bad_phone",)},
)
def customers_update(customer_id: int, json: schemas.CustomerWords) -> schemas.Customer:
    """Change the name, phone and note of a customer

    They are your own words about the customer: no other merchant sees them.
    """
    pairs.describe(customer_id, pairs.Words(**msgspec.structs.asdict(json)), actor=caller().actor)
    user = access.my_customer(caller().actor, customer_id)
    (row,) = customers.describe(merchant().id, [user.id])
    return schemas.customer(row)


@parsing.further_faults(schemas.CustomerWords)
def _word_faults(values: parsing.Values) -> list[Fault]:
    return pairs.word_faults(pairs.Words(**{name: values.get(name) for name in ("name", "phone", "note")}))
