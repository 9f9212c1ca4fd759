"""Access to a row of another party is refused like access to a missing row."""

import pytest

from portal import access
from portal.errors import Forbidden, NotFound
from portal.extensions import db
from portal.models import User
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
            assert get(db.session.get_one(User, ids[party]), ids[kind]).id == ids[kind]


@pytest.mark.parametrize("stranger", ["badr", "sara", "olga"])
def test_other_users_get_not_found(ids, stranger):
    user = db.session.get_one(User, ids[stranger])
    errors = set()
    for kind, get in GETTERS.items():
        for row_id in (ids[kind], *NOT_IDS):
            with pytest.raises(NotFound) as refused:
                get(user, row_id)
            errors.add((refused.value.code, sentence(refused.value), refused.value.status))
    assert len(errors) == 1


def test_roles(ids):
    amal, omar = (db.session.get_one(User, ids[name]) for name in ("amal", "omar"))
    access.require(amal, "merchant")
    access.require(omar, "merchant", "customer")
    for user, role in ((omar, "merchant"), (amal, "customer"), (amal, "operator")):
        with pytest.raises(Forbidden):
            access.require(user, role)
