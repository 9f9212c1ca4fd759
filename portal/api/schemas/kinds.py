"""Common types of the schemas, and the problem document."""

import functools
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from portal.api.parsing import Amount, DayOrInstant, whole
from portal.domain import money
from portal.domain.identifiers import MAX_ID
from portal.reports.paging import MAX_LIMIT

Money = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]{1,3})?$", description="Decimal text with the currency's digits.")]
Number = Annotated[Any, Meta(extra_json_schema={"type": "number"})]
"""A Decimal, written as an exact JSON number."""
Id = Annotated[int, Meta(ge=1)]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339, UTC.")]
Text = Annotated[str, Meta(max_length=1000)]


def up_to(letters: int) -> Meta:
    """The true limit of a text, which the service checks after NFC and without surrounding blanks."""
    return Meta(extra_json_schema={"maxLength": letters})


EmailText = Annotated[Text, up_to(254)]
Name = Annotated[str, up_to(200)]
Metadata = Annotated[
    dict[str, Annotated[str, up_to(500)]],
    Meta(
        description="Your own texts: up to 20, names of up to 40 letters, texts of up to 500.",
        extra_json_schema={
            "maxProperties": 20,
            "propertyNames": {"minLength": 1, "maxLength": 40},
        },
    ),
]
AmountField = Annotated[Amount, Meta(description="A decimal string, or a JSON number, which is read as its text.")]
ExternalId = Annotated[Text, up_to(100)]
MetadataChanges = Annotated[
    dict[str, Annotated[str, up_to(500)] | None],
    Meta(
        description="A text sets a name, null removes it, other names stay (RFC 7396). Up to 20 names stay.",
        extra_json_schema={"propertyNames": {"minLength": 1, "maxLength": 40}},
    ),
]
Reason = Annotated[
    Text, up_to(200), Meta(description="Why, in up to 200 letters on one line. It stands on the plan's timeline.")
]

decimal: Final = functools.lru_cache(maxsize=4096)(money.plain)
"""Minor units as decimal text with the currency's digits. Cached, because lists repeat amounts."""


class In(Struct, forbid_unknown_fields=True, kw_only=True):
    """A request. Unknown fields are refused."""


class Nothing(In, kw_only=True):
    """An empty object: everything is in the address. The body may be left out."""


class Out(Struct, kw_only=True):
    """A response. Later versions may add fields, and never remove them."""


class MetadataChange(In, kw_only=True):
    """A change of the metadata. Sent again, it changes nothing more."""

    metadata: MetadataChanges


class FaultShape(Out, kw_only=True):
    """A fault of the request."""

    pointer: Annotated[str, Meta(description="The field (JSON pointer), or the parameter.")]
    detail: str
    code: str
    where: Annotated[
        Literal["query", "header"] | UnsetType, Meta(description="The part of the request, if not the body.")
    ] = field(default=UNSET, name="in")


class MerchantChoice(Out, kw_only=True):
    """A merchant whose hat a token may have."""

    id: Id
    name: str


class Problem(Out, kw_only=True):
    """A problem document (RFC 9457). `code` is stable. `errors` lists the faults of a 422, 50 at most."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FaultShape] = field(default_factory=list)
    known: Annotated[
        list[str], Meta(description="If a parameter is unknown: the query parameters that this endpoint accepts.")
    ] = field(default_factory=list)
    remaining: Annotated[Money, Meta(description="Of amount_changed and too_much: what is owed now.")] | UnsetType = (
        UNSET
    )
    refundable: (
        Annotated[Money, Meta(description="Of amount_changed and too_much: what can be refunded now.")] | UnsetType
    ) = UNSET
    voidable: Annotated[Money | UnsetType, Meta(description="Of amount_changed: what can be voided.")] = UNSET
    allowance: Annotated[Money, Meta(description="Of refund_limit: what is left today.")] | UnsetType = UNSET
    payment_id: Annotated[Id, Meta(description="Of payment_in_flight, and of a declined payment.")] | UnsetType = UNSET
    plan_id: Annotated[Id, Meta(description="Of external_id_used: the plan that has it.")] | UnsetType = UNSET
    refund_ids: Annotated[list[Id], Meta(description="Of refund_declined: the refunds.")] | UnsetType = UNSET
    open_plans: Annotated[int, Meta(description="Of figures_changed: the open plans now.")] | UnsetType = UNSET
    merchants: Annotated[list[MerchantChoice], Meta(description="Of choose_merchant: yours.")] | UnsetType = UNSET


CustomerId = Annotated[Any, whole(1, MAX_ID), Meta(description="The id of a customer.")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217, such as SAR.", examples=["SAR"])]


PlanId = Annotated[Any, whole(1, MAX_ID), Meta(description="The id of a plan.")]
Total = Annotated[
    Literal["total"] | None,
    Meta(description="`total`: the number of rows in the header X-Total-Count, exact up to 10000, else `10000+`."),
]


class ListQuery(In, kw_only=True):
    """A list that is answered whole."""

    include: Total = None


class PageQuery(ListQuery, kw_only=True):
    """The page of a list."""

    limit: Annotated[Any, whole(1, MAX_LIMIT), Meta(description="The most rows of a page.")] = 50
    cursor: Annotated[Text | None, Meta(description="From the Link header of the page before.")] = None


class CreatedQuery(PageQuery, kw_only=True):
    """The page of a list, and when its rows were created."""

    created_before: Annotated[DayOrInstant | None, Meta(description="Exclusive: a day itself is not included.")] = None
    created_after: Annotated[DayOrInstant | None, Meta(description="Exclusive: a day itself is not included.")] = None


class UpdatedQuery(CreatedQuery, kw_only=True):
    """The page of a list, and when its rows were created and last changed."""

    updated_before: Annotated[DayOrInstant | None, Meta(description="Exclusive: a day itself is not included.")] = None
    updated_after: Annotated[DayOrInstant | None, Meta(description="Exclusive: a day itself is not included.")] = None
