"""The actor of a request, and the permissions of each role in a business.

Accounts are people. A business (the API says merchant) has members, each with one role. An entry point makes the
`Actor`; services ask it for a permission by name.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

from portal.errors import Forbidden, NotFound

Role = Literal["owner", "manager", "collector", "viewer"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

Hat = Literal["merchant", "customer", "operator"]
"""The kind of a hat; the API says role. An operator wears no other."""
HATS: Final[tuple[Hat, ...]] = get_args(Hat)

Permission = Literal[
    "view",
    "export",
    "record_payment",
    "remind",
    "note",
    "create_plans",
    "invite",
    "credit",
    "write_off",
    "cancel",
    "void",
    "refund",
    "settings",
    "team",
    "keys",
    "own",
    "pay",
    "customer",
    "operate",
]
PERMISSIONS: Final[tuple[Permission, ...]] = get_args(Permission)

READ: Final[frozenset[Permission]] = frozenset({"view", "export"})
COLLECT: Final[frozenset[Permission]] = READ | {"record_payment", "remind", "note"}
SELL: Final[frozenset[Permission]] = COLLECT | {
    "create_plans",
    "invite",
    "credit",
    "write_off",
    "cancel",
    "void",
    "refund",
}

OF_ROLE: Final[dict[Role, frozenset[Permission]]] = {
    "viewer": READ,
    "collector": COLLECT,
    "manager": SELL | {"settings"},
    "owner": SELL | {"settings", "team", "keys", "own"},
}
"""The permissions of each role in its business. `own` is about the business itself: closing it, and objecting."""

Standing = Literal["draft", "live", "deactivated", "closing", "closed"]
"""The stage of a business. draft: it waits for approval, and its plans are drafts. deactivated: stopped by
an operator. closing: its owner makes no new plans and winds down. closed: the wind-down has ended."""

WHILE: Final[Mapping[Standing, frozenset[Permission]]] = MappingProxyType(
    {
        "draft": OF_ROLE["owner"],
        "live": OF_ROLE["owner"],
        "deactivated": READ | {"refund", "own"},
        "closing": OF_ROLE["owner"] - {"create_plans"},
        "closed": READ,
    }
)
"""The permissions that the standing of a business leaves to its members and keys, at most."""

PERSON: Final[frozenset[Permission]] = frozenset({"pay"})
"""Every person under every hat: read and pay what the person owes."""
CUSTOMER: Final[frozenset[Permission]] = PERSON | {"customer"}
"""The customer's hat: also the customer's own pages (home, saved cards, automatic payment, early reminders)."""
OPERATOR: Final[frozenset[Permission]] = frozenset({"operate"})
GIVEN_TO_KEYS: Final[tuple[Permission, ...]] = tuple(
    permission for permission in PERMISSIONS if permission in SELL and permission not in READ
)
"""The permissions that an API key has if they are given to it, in the order of the table. Every key may read."""


class OwnPlan(Forbidden):
    """The member owes this plan, so they can't act on it for the business."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "own_plan"


class MerchantDeactivated(Forbidden):
    """An operator deactivated the business, so its members may only read, and ask for refunds."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "merchant_deactivated"


class MerchantClosing(Forbidden):
    """The owner is closing the business, so it makes no new plans."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "merchant_closing"


class MerchantClosed(Forbidden):
    """The business is closed, so its members may only read."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "merchant_closed"


STOPS: Final[Mapping[Standing, type[Forbidden]]] = MappingProxyType(
    {"deactivated": MerchantDeactivated, "closing": MerchantClosing, "closed": MerchantClosed}
)
"""The refusal of a permission that the standing of the business takes away."""


class EmailUnproven(Forbidden):
    """The person has not proven the email of their account, so they can't act yet."""

    def __init__(self) -> None:
        super().__init__()
        self.code = "email_unproven"


@dataclass(frozen=True, slots=True)
class Actor:
    """The acting person (for an API key: its maker), the business of their hat or None, and their permissions.

    `key_id` is the API key that acts, or None.
    `standing` is the stage of that business, and `withheld` are the permissions that it takes away.
    A person whose email is not proven has no business, no permission and `is_proven` false.
    """

    user_id: int
    merchant_id: int | None
    permissions: frozenset[Permission]
    standing: Standing = "live"
    withheld: frozenset[Permission] = frozenset()
    key_id: int | None = None
    is_proven: bool = True

    @property
    def hat(self) -> Hat:
        if self.may("operate"):
            return "operator"
        return "customer" if self.merchant_id is None else "merchant"

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def require(self, permission: Permission, *, about: str = "") -> None:
        """Refuses: email_unproven; forbidden (about `about`), without this permission; merchant_deactivated,
        merchant_closing or merchant_closed, if the standing of the business takes it away.
        """
        self.require_proof()
        if self.may(permission):
            return
        if permission in self.withheld:
            raise STOPS[self.standing]()
        raise Forbidden(about)

    def require_proof(self) -> None:
        """Refuses: email_unproven."""
        if not self.is_proven:
            raise EmailUnproven()

    def owes(self, customer_id: int) -> bool:
        """The actor is this customer in person. An API key owes nothing: it acts for the business alone."""
        return self.may("pay") and self.user_id == customer_id

    def act_on(self, merchant_id: int, customer_id: int) -> None:
        """Check that the actor may act for this business on a plan of this customer.

        Refuses: email_unproven; not_found (another business's plan); own_plan (the actor owes it).
        """
        self.require_proof()
        if self.merchant_id is None or self.merchant_id != merchant_id:
            raise NotFound()
        if self.owes(customer_id):
            raise OwnPlan()

    def business(self, permission: Permission) -> int:
        """The id of the business for which the actor has this permission. Refuses: forbidden."""
        self.require(permission)
        if self.merchant_id is None:
            raise Forbidden()
        return self.merchant_id


def customer(user_id: int) -> Actor:
    """A person under the customer's hat."""
    return Actor(user_id, None, CUSTOMER)


def member(user_id: int, merchant_id: int, role: Role, standing: Standing = "live") -> Actor:
    """A person under the hat of a business that they belong to."""
    withheld = OF_ROLE[role] - WHILE[standing]
    return Actor(user_id, merchant_id, PERSON | (OF_ROLE[role] - withheld), standing, withheld)


def unproven(user_id: int) -> Actor:
    """A person who has registered, and not proven their email yet."""
    return Actor(user_id, None, frozenset(), is_proven=False)


def operator(user_id: int) -> Actor:
    """An operator of the installation, who acts for no business and owes nothing."""
    return Actor(user_id, None, OPERATOR)


def key(
    key_id: int,
    maker_id: int,
    merchant_id: int,
    *,
    given: Collection[Permission],
    roles: list[Role],
    standing: Standing = "live",
) -> Actor:
    """An API key of a business. `given`: the permissions that it was made with, beside reading.

    `roles`: its maker's roles, when the key was made and now; each of them limits it.
    """
    permissions = READ | (frozenset(given) & frozenset(GIVEN_TO_KEYS))
    for role in roles:
        permissions &= OF_ROLE[role]
    withheld = permissions - WHILE[standing]
    return Actor(maker_id, merchant_id, permissions - withheld, standing, withheld, key_id)
