"""Usual terms of a business: their limits, names and order."""

from dataclasses import replace
from typing import Any

import pytest

from portal.errors import Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import UsualTerms
from portal.services.merchants import usual_terms
from portal.services.merchants.usual_terms import LIMIT, Terms
from tests.fixtures import people

pytestmark = pytest.mark.usefixtures("context")

GOOD = Terms("Three months", 3, "monthly", None, 30)


def names(merchant_id: int) -> list[str]:
    return [row.name for row in db.session.scalars(UsualTerms.of_merchant(merchant_id))]


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        ({"name": " \t"}, {"name": "required"}),
        ({"name": "x" * 41}, {"name": "too_long"}),
        ({"name": "two\nlines"}, {"name": "bad_text"}),
        ({"num_installments": 0}, {"num_installments": "bad_count"}),
        ({"num_installments": 61}, {"num_installments": "bad_count"}),
        ({"num_installments": 60, "deposit_percent": 10}, {"num_installments": "bad_count"}),
        ({"interval": "custom"}, {"interval": "bad_interval"}),
        ({"deposit_percent": 0}, {"deposit_percent": "bad_percent"}),
        ({"deposit_percent": 100}, {"deposit_percent": "bad_percent"}),
        ({"first_days": -1}, {"first_days": "bad_first_days"}),
        ({"first_days": 366}, {"first_days": "bad_first_days"}),
        ({"first_days": 0, "deposit_percent": 10}, {"first_days": "bad_first_days"}),
        ({"name": "", "interval": "daily", "first_days": 999}, dict.fromkeys(("name", "interval", "first_days"), "")),
    ],
)
def test_wrong_terms_are_refused_with_all_their_faults(values: dict[str, Any], faults: dict[str, str]) -> None:
    amal = people.amal()
    with pytest.raises(Invalid) as refused:
        usual_terms.add(people.owner(amal), replace(GOOD, **values))
    found = {fault.field: fault.code for fault in refused.value.faults}
    assert found.keys() == faults.keys() and all(code in ("", found[field]) for field, code in faults.items())
    assert names(amal) == []


def test_a_name_is_taken_once_in_a_business() -> None:
    amal, badr = people.amal(), people.badr()
    mine = usual_terms.add(people.owner(amal), GOOD)
    usual_terms.add(people.owner(badr), GOOD)
    for typed in ("Three months", " Three months\t"):
        with pytest.raises(Invalid) as refused:
            usual_terms.add(people.owner(amal), replace(GOOD, name=typed))
        assert [(fault.field, fault.code) for fault in refused.value.faults] == [("name", "name_taken")]
    usual_terms.change(mine, actor=people.owner(amal), terms=replace(GOOD, deposit_percent=25))
    assert db.session.get_one(UsualTerms, mine).deposit_percent == 25


def test_terms_move_as_far_as_the_list_goes() -> None:
    amal = people.amal()
    actor = people.owner(amal)
    first, second, third = (usual_terms.add(actor, replace(GOOD, name=name)) for name in "ABC")
    usual_terms.move(third, actor=actor, by=-1)
    assert names(amal) == ["A", "C", "B"]
    usual_terms.move(first, actor=actor, by=9)
    usual_terms.move(third, actor=actor, by=-9)
    assert names(amal) == ["C", "B", "A"]
    usual_terms.remove(second, actor=actor)
    usual_terms.add(actor, replace(GOOD, name="D"))
    assert names(amal) == ["C", "A", "D"]


def test_a_business_has_so_many_terms_and_no_others() -> None:
    amal, badr = people.amal(), people.badr()
    ids = [usual_terms.add(people.owner(amal), replace(GOOD, name=str(number))) for number in range(LIMIT)]
    with pytest.raises(Refused, match="too_many_terms"):
        usual_terms.add(people.owner(amal), GOOD)
    for act in (
        lambda: usual_terms.change(ids[0], actor=people.owner(badr), terms=GOOD),
        lambda: usual_terms.move(ids[0], actor=people.owner(badr), by=1),
        lambda: usual_terms.remove(ids[0], actor=people.owner(badr)),
    ):
        with pytest.raises(NotFound):
            act()
    assert names(amal) == [str(number) for number in range(LIMIT)]
