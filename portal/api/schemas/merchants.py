"""Schemas of a merchant's settings and of its customers."""

from dataclasses import fields
from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import asdict

from portal import models
from portal.api.parsing import whole
from portal.api.schemas.kinds import CreatedQuery, Id, In, Instant, Money, Out, Text, decimal, up_to
from portal.domain.permissions import Role, Standing
from portal.domain.schedule import MAX_GRACE_DAYS, MAX_WITHDRAWAL_DAYS
from portal.models.notices import Notice
from portal.reports.merchants.customers import Customer as Described
from portal.reports.merchants.filters import Show
from portal.services.accounts.merchant_settings import Settings
from portal.services.books.letterheads import Words
from portal.services.notices.settings import Choice

Amounts = Annotated[dict[str, Money], Meta(description="By currency, without those in which the amount is zero.")]


class Merchant(Out, kw_only=True):
    """A merchant and its settings. A plan keeps the time zone, the grace days and the withdrawal days it was made with.

    `standing` is live unless the merchant waits for an approval (draft), was deactivated by an operator, or closes.
    """

    id: Id
    business_name: str
    home_currency: Annotated[str, Meta(description="ISO 4217. Fixed once a plan exists.")]
    time_zone: Annotated[str, Meta(description="IANA name. The merchant's days begin in it.")]
    grace_days: Annotated[int, Meta(description="Days after the due date before an installment is late.")]
    withdrawal_days: Annotated[int, Meta(description="Days in which a customer may withdraw from a new plan.")]
    standing: Standing
    address: Annotated[str | None, Meta(description="On receipts and statements, in lines that end with a line feed.")]
    tax_number: str | None
    email: Annotated[str | None, Meta(description="For questions of customers.")]
    phone: str | None


class MerchantChange(In, kw_only=True):
    """The settings to change. One that is left out, or null, stays as it is. "" removes a text of the letterhead."""

    business_name: Annotated[Text, up_to(200)] | None = None
    home_currency: Annotated[Text, up_to(3)] | None = None
    time_zone: Annotated[Text, up_to(64)] | None = None
    grace_days: Annotated[Any, whole(0, MAX_GRACE_DAYS)] | None = None
    withdrawal_days: Annotated[Any, whole(0, MAX_WITHDRAWAL_DAYS)] | None = None
    address: Annotated[Text | None, Meta(description="Up to six lines, of 300 letters in all.")] = None
    tax_number: Text | None = None
    email: Text | None = None
    phone: Annotated[
        Text | None, Meta(description="4 to 15 digits, with blanks, + ( ) . and - between them: +966 50 123 4567.")
    ] = None


class NoticeChoice(Out, kw_only=True):
    """The mails about the merchant that you get. Other members have choices of their own."""

    on: Annotated[
        list[Notice],
        Meta(description="`bounced`, `accepted`, `disputed` and `withdrawn` come at once, the others in the digest."),
    ]
    at_once: Annotated[bool, Meta(description="Whether the digest comes with each news, else once a day at 08:00.")]


class NoticeChange(In, kw_only=True):
    """The choice to change. A field that is left out, or null, stays. An empty list turns all notices off."""

    on: Annotated[list[Notice] | None, Meta(description="The notices that you get, all others off.")] = None
    at_once: bool | None = None


class TeamMember(Out, kw_only=True):
    """A person who works for the merchant, in one role."""

    id: Annotated[Id, Meta(description="The id of the account.")]
    name: str
    email: str
    role: Role
    refund_limit: Annotated[
        Money | None, Meta(description="The most that a manager or owner refunds a day. Null: no limit.")
    ]
    joined_at: Instant


class Customer(Out, kw_only=True):
    """A customer of the merchant, with counts of their plans and amounts with this merchant alone.

    `name` is the merchant's own name for them, else the username, or the email of a person without an account; null for
    an erased person. `phone` and `note` are the merchant's own words, which no other merchant sees.
    """

    id: Id
    name: str | None
    email: Annotated[str | None, Meta(description="Null for an erased person.")]
    phone: str | None
    note: str | None
    has_account: bool
    muted: Annotated[bool, Meta(description="The merchant's reminders are turned off for this customer.")]
    plans: int
    open_plans: int
    outstanding: Amounts
    overdue: Amounts
    created_at: Annotated[Instant | None, Meta(description="Since when they are a customer of the merchant.")]


class CustomerWords(In, kw_only=True):
    """The merchant's own words about a customer. One that is left out, or null, stays; "" removes it."""

    name: Annotated[Text, up_to(200)] | None = None
    phone: Annotated[
        Annotated[Text, up_to(40)] | None,
        Meta(description="4 to 15 digits, with blanks, + ( ) . and - between them: +966 50 123 4567."),
    ] = None
    note: Annotated[
        Annotated[Text, up_to(500)] | None,
        Meta(description="Private: the customer does not see it. At most 500 letters."),
    ] = None


class CustomerQuery(CreatedQuery, kw_only=True):
    """Filters of customers."""

    show: Annotated[
        Show,
        Meta(description="Those who owe something, or something late, come with the largest amount first."),
    ] = "all"
    email: Annotated[Text | None, Meta(description="The whole address, in any case.")] = None
    search: Annotated[Text | None, Meta(description="A part of the name, phone, email or username.")] = None


def notice_choice(choice: Choice) -> NoticeChoice:
    return NoticeChoice(on=list(choice.on), at_once=choice.at_once)


def merchant(row: models.Merchant, letterhead: models.Letterhead | None) -> Merchant:
    """The schema of a merchant, with the texts of its letterhead."""
    return Merchant(
        id=row.id,
        business_name=row.business_name,
        home_currency=row.home_currency,
        time_zone=row.time_zone,
        grace_days=row.grace_days,
        withdrawal_days=row.withdrawal_days,
        standing=row.standing,
        address=(letterhead.address or None) if letterhead else None,
        tax_number=(letterhead.tax_number or None) if letterhead else None,
        email=(letterhead.email or None) if letterhead else None,
        phone=(letterhead.phone or None) if letterhead else None,
    )


def merchant_settings(change: MerchantChange, row: models.Merchant) -> tuple[Settings, Words]:
    """The settings after a change of this merchant, and the texts of its letterhead that were sent."""
    sent = {name: value for name, value in asdict(change).items() if value is not None}
    words = Words(**{field.name: sent.pop(field.name, None) for field in fields(Words)})
    now = {field.name: getattr(row, field.name) for field in fields(Settings)}
    return Settings(**(now | sent)), words


def team_member(row: models.Membership, of: models.Merchant) -> TeamMember:
    """The schema of a member of this merchant's team."""
    return TeamMember(
        id=row.user_id,
        name=row.user.display_name,
        email=row.user.email,
        role=row.role,
        refund_limit=decimal(row.refund_limit, of.home_currency) if row.refund_limit is not None else None,
        joined_at=row.created_at,
    )


def customer(row: Described) -> Customer:
    erased = row.user.erased_at is not None
    return Customer(
        id=row.user.id,
        name=None if erased else row.name or row.user.display_name,
        email=None if erased else row.user.email,
        phone=row.phone,
        note=row.note,
        has_account=row.user.is_claimed and not erased,
        muted=row.muted,
        plans=row.plans,
        open_plans=row.open_plans,
        outstanding={code: decimal(amount, code) for code, amount in row.outstanding.items()},
        overdue={code: decimal(amount, code) for code, amount in row.overdue.items()},
        created_at=row.since,
    )
