"""Figures of one plan after a race, from its rows and the gateway's own tables."""

from dataclasses import dataclass

from sqlalchemy import text

from portal.extensions import db


@dataclass(frozen=True)
class Money:
    """A plan's figures in minor units."""

    total: int
    charged: int
    given_back: int
    declined_refunds: int
    cash: int
    reversed: int
    credited: int
    written_off: int
    remaining: int
    excess: int
    lost: int
    regained: int
    won: int


MONEY = text(
    """
    SELECT plans.total,
           (SELECT coalesce(sum(charge.amount), 0) FROM payments JOIN gateway_charges AS charge
                ON charge.key = payments.gateway_key AND charge.outcome = 'charged' AND charge.wins_back IS NULL
             WHERE plan_id = plans.id) AS charged,
           (SELECT coalesce(sum(back.amount), 0) FROM payments JOIN gateway_refunds AS back
                ON back.charge_key = payments.gateway_key AND back.outcome = 'refunded'
             WHERE plan_id = plans.id) AS given_back,
           (SELECT count(*) FROM payments JOIN gateway_refunds AS back
                ON back.charge_key = payments.gateway_key AND back.outcome <> 'refunded'
             WHERE plan_id = plans.id) AS declined_refunds,
           (SELECT coalesce(sum(amount), 0) FROM payments WHERE plan_id = plans.id AND method = 'cash') AS cash,
           (SELECT coalesce(sum(reversed), 0) FROM payments WHERE plan_id = plans.id) AS reversed,
           (SELECT count(*) FROM refunds WHERE plan_id = plans.id AND excess) AS excess,
           (SELECT coalesce(sum(lost), 0) FROM payments WHERE plan_id = plans.id) AS lost,
           (SELECT coalesce(sum(regained), 0) FROM payments WHERE plan_id = plans.id) AS regained,
           (SELECT coalesce(sum(amount), 0) FROM payments WHERE plan_id = plans.id AND wins_back_id IS NOT NULL) AS won,
           sums.*
      FROM plans, LATERAL (
          SELECT sum(credited) AS credited, sum(written_off) AS written_off, sum(remaining) AS remaining
            FROM installments WHERE plan_id = plans.id) AS sums
     WHERE plans.id = :plan
    """
)


def money_of(plan_id: int) -> Money:
    return Money(**db.session.execute(MONEY, {"plan": plan_id}).one()._mapping)
