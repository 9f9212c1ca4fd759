"""Access to a row of another party is refused like access to a missing row, and follows the actor's hat."""

import pytest

from portal import access
from portal.domain import permissions
from portal.domain.permissions import GIVEN_TO_KEYS, OwnPlan
from portal.errors import Forbidden, NotFound
from portal.wording.refusals import sentence
from tests.fixtures import people

pytestmark = pytest.mark.usefixtures("context")

NOT_IDS = (0, -1, 10**6, 2**63 - 1, 2**63, -(2**70), 2**70)


@pytest.fixture
def ids(context):
    """Amal's plan for Omar with a payment, and Badr's plan for Sara."""
    amal, badr, omar, sara = people.amal(), people.badr(), people.omar(), people.sara()
    plan_id = people.a_plan(amal)
    people.a_plan(badr, "sara@example.com")
    installment_id = people.installments_of(plan_id)[0].id
    payment_id = people.pay(installment_id, omar).id
    users = {"amal": amal, "badr": badr, "omar": omar, "sara": sara, "olga": people.an_operator()}
    return users | {"plan": plan_id, "installment": installment_id, "payment": payment_id}


GETTERS = {"plan": access.my_plan, "installment": access.my_installment, "payment": access.my_payment}


def test_both_parties_have_access(ids):
    for kind, get in GETTERS.items():
        for party in ("amal", "omar"):
            assert get(people.actor_of(ids[party]), ids[kind]).id == ids[kind]


@pytest.mark.parametrize("stranger", ["badr", "sara", "olga"])
def test_other_users_get_not_found(ids, stranger):
    actor = people.actor_of(ids[stranger])
    errors = set()
    for kind, get in GETTERS.items():
        for row_id in (ids[kind], *NOT_IDS):
            with pytest.raises(NotFound) as refused:
                get(actor, row_id)
            errors.add((refused.value.code, sentence(refused.value), refused.value.status))
    assert len(errors) == 1


def test_a_member_reads_the_plans_of_the_business_whose_hat_they_wear(ids):
    under_amal = permissions.member(ids["sara"], ids["amal"], "viewer")
    assert access.my_plan(under_amal, ids["plan"]).id == ids["plan"]
    with pytest.raises(NotFound):
        access.my_plan(permissions.customer(ids["sara"]), ids["plan"])


def test_people_read_and_pay_what_they_owe_under_any_hat(ids):
    under_badr = permissions.member(ids["omar"], ids["badr"], "manager")
    for kind, get in GETTERS.items():
        assert get(under_badr, ids[kind]).id == ids[kind]
    assert access.owed_plan(under_badr, ids["plan"]).id == ids["plan"]
    assert access.owed_installment(under_badr, ids["installment"]).id == ids["installment"]
    with pytest.raises(NotFound):
        access.our_plan(under_badr, ids["plan"])


def test_a_business_can_not_pay_its_own_plan(ids):
    for look_up, row_id in ((access.owed_plan, ids["plan"]), (access.owed_installment, ids["installment"])):
        with pytest.raises(Forbidden):
            look_up(people.owner(ids["amal"]), row_id)


def test_a_member_who_owes_a_plan_can_not_act_on_it(ids):
    both = permissions.member(ids["omar"], ids["amal"], "manager")
    assert access.my_plan(both, ids["plan"]).id == ids["plan"]
    assert access.owed_plan(both, ids["plan"]).id == ids["plan"]
    for look_up, row_id in ((access.our_plan, ids["plan"]), (access.our_payment, ids["payment"])):
        with pytest.raises(OwnPlan) as refused:
            look_up(both, row_id)
        assert (refused.value.status, refused.value.code) == (403, "own_plan")


def test_an_api_key_reads_nothing_that_its_maker_owes(ids):
    key = permissions.key(1, ids["omar"], ids["badr"], given=GIVEN_TO_KEYS, roles=["owner"])
    with pytest.raises(NotFound):
        access.my_plan(key, ids["plan"])
