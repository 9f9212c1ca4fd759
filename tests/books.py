"""A business in which everything happened once that can happen to money, made through the real verbs."""

from typing import Any

from portal.extensions import db
from portal.services import credits, recorded_payments, reversals, write_offs
from tests import people
from tests.models.guards import world


def everything() -> dict[str, Any]:
    """The guards' world (payments, refunds, one in flight, a cancelled plan), and beside it `credit_plan` (a credit,
    and cash), `lost_plan` (written off, partly recovered) and `bounced_plan` (its payment `bounced`). Ids by name.
    """
    ids = world()
    amal, omar, today = ids["amal"], ids["omar"], people.today_of(ids["amal"])
    for name in ("credit_plan", "lost_plan", "bounced_plan"):
        ids[name] = people.a_plan(amal, total=60_00, count=2, first=-40)
    credits.credit(ids["credit_plan"], merchant_id=amal, amount=10_00, how="spread", reason="Sorry")
    recorded_payments.record(ids["credit_plan"], merchant_id=amal, amount=5_00, method="cash", received_on=today)
    write_offs.write_off(ids["lost_plan"], merchant_id=amal, reason="Moved away")
    recorded_payments.record(ids["lost_plan"], merchant_id=amal, amount=20_00, method="transfer", received_on=today)
    ids["bounced"] = people.pay(people.installments_of(ids["bounced_plan"])[0].id, omar).id
    reversals.reverse(ids["bounced"], merchant_id=amal, reason="Bounced")
    db.session.rollback()
    return ids
