"""The table of permissions, and what an actor may do."""

import pytest

from portal.domain import permissions
from portal.domain.permissions import (
    GIVEN_TO_KEYS,
    OF_ROLE,
    PERMISSIONS,
    ROLES,
    Actor,
    OwnPlan,
    Permission,
    Role,
    Standing,
)
from portal.errors import Forbidden, NotFound

TABLE = {
    "owner manager collector viewer": {"view", "export"},
    "owner manager collector": {"record_payment", "remind", "note"},
    "owner manager": {
        "create_plans",
        "invite",
        "credit",
        "write_off",
        "cancel",
        "void",
        "refund",
        "settings",
    },
    "owner": {"team", "keys", "own"},
    "": {"pay", "customer", "operate"},
}
"""The permissions by the roles that have them."""


def test_the_table_names_every_permission_once() -> None:
    assert sorted(permission for row in TABLE.values() for permission in row) == sorted(PERMISSIONS)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_the_permissions_of_the_table(role: Role) -> None:
    expected = {permission for roles, row in TABLE.items() if role in roles.split() for permission in row}
    assert OF_ROLE[role] == expected


@pytest.mark.parametrize("role", ROLES)
def test_a_member_may_also_pay_what_they_owe_but_has_no_customers_pages(role: Role) -> None:
    actor = permissions.member(7, 8, role)
    assert actor.permissions == OF_ROLE[role] | {"pay"}
    assert (actor.hat, actor.business("view")) == ("merchant", 8)


@pytest.mark.parametrize("actor", [permissions.customer(7), permissions.operator(7)])
@pytest.mark.parametrize("permission", sorted(OF_ROLE["owner"]))
def test_customers_and_operators_act_for_no_business(actor: Actor, permission: Permission) -> None:
    with pytest.raises(Forbidden):
        actor.require(permission)
    with pytest.raises(Forbidden):
        actor.business(permission)


def test_a_permission_without_a_business_is_refused() -> None:
    with pytest.raises(Forbidden):
        permissions.customer(7).business("pay")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("later", [None, *ROLES])
@pytest.mark.parametrize("given", [(), ("remind",), PERMISSIONS])
def test_an_api_key_never_exceeds_its_makers_role_then_and_now(
    role: Role, later: Role | None, given: tuple[Permission, ...]
) -> None:
    key = permissions.key(5, 7, 8, given=given, roles=[role, *([later] if later else [])])
    assert key.permissions <= OF_ROLE[role] & OF_ROLE[later or role]
    assert not key.permissions & {"keys", "team", "settings", "pay", "customer", "operate"}
    assert key.permissions <= {"view", "export", *given}
    assert key.hat == "merchant"


STOPPED = {
    "draft": None,
    "live": None,
    "deactivated": ("create_plans", "merchant_deactivated"),
    "closing": ("create_plans", "merchant_closing"),
    "closed": ("refund", "merchant_closed"),
}


@pytest.mark.parametrize("standing", STOPPED)
@pytest.mark.parametrize("role", ROLES)
def test_a_standing_takes_permissions_away_and_gives_none(role: Role, standing: Standing) -> None:
    actor = permissions.member(7, 8, role, standing)
    assert actor.permissions <= OF_ROLE[role] | {"pay"}
    assert {"view", "export", "pay"} <= actor.permissions
    key = permissions.key(5, 7, 8, given=GIVEN_TO_KEYS, roles=[role], standing=standing)
    assert key.permissions <= actor.permissions
    if (stopped := STOPPED[standing]) is None:
        assert (actor.permissions, actor.withheld) == (OF_ROLE[role] | {"pay"}, frozenset())
        return
    permission, code = stopped
    for stopped_actor in (actor, key):
        with pytest.raises(Forbidden) as refused:
            stopped_actor.business(permission)  # type: ignore[arg-type]
        expected = code if permission in OF_ROLE[role] else "forbidden"
        assert (refused.value.code, refused.value.status) == (expected, 403)


def test_a_deactivated_business_reads_and_asks_for_refunds_only() -> None:
    owner = permissions.member(7, 8, "owner", "deactivated")
    assert owner.permissions == {"view", "export", "refund", "own", "pay"}


def test_another_business_and_an_own_plan_are_refused() -> None:
    manager = permissions.member(7, 8, "manager")
    manager.act_on(8, 6)
    with pytest.raises(NotFound):
        manager.act_on(9, 6)
    with pytest.raises(NotFound):
        manager.act_on(9, 7)
    with pytest.raises(OwnPlan) as refused:
        manager.act_on(8, 7)
    assert (refused.value.status, refused.value.code) == (403, "own_plan")


def test_an_api_key_acts_on_its_makers_plans_because_it_owes_nothing() -> None:
    key = permissions.key(5, 7, 8, given=GIVEN_TO_KEYS, roles=["owner"])
    key.act_on(8, 7)
    assert not key.owes(7)
