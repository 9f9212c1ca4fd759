"""`qist check` of the simulated gateway: its tables against payments and refunds, in one statement."""

from typing import Final

RULES: Final = (
    "gateway_charges",
    "gateway_reversals",
    "gateway_refunds",
    "gateway_unknown_charges",
    "gateway_unknown_refunds",
    "gateway_refunded_beyond",
)
"""Codes, whose sentences are in portal/wording/checks.py."""

SQL: Final = """
    SELECT charged.differing, charged.forgotten, refunded.differing, unknown.charges, unknown.refunds, unknown.beyond
    FROM (
        SELECT count(*) FILTER (WHERE (payments.state IN ('succeeded', 'reversed', 'voided')
                                       AND (charge.outcome, charge.amount, charge.currency, charge.wins_back)
                                           IS DISTINCT FROM ('charged', payments.amount + coalesce(lost.regained, 0),
                                                             payments.currency, lost.gateway_key))
                                      OR (payments.state = 'declined' AND charge.outcome = 'charged')) AS differing,
               count(*) FILTER (WHERE charge.told_at IS NOT NULL AND charge.wins_back IS NULL
                                      AND payments.state <> 'reversed'
                                      AND payments.refunded <> payments.amount
                                      OR (payments.state = 'reversed' AND payments.reversed + payments.lost
                                          IS DISTINCT FROM charge.reversed_amount)
                                      OR (payments.regained > 0 AND NOT EXISTS (
                                          SELECT FROM gateway_charges AS won WHERE won.wins_back = payments.gateway_key
                                          AND won.amount >= payments.regained))) AS forgotten
        FROM payments LEFT JOIN gateway_charges AS charge ON charge.key = payments.gateway_key
        LEFT JOIN payments AS lost ON lost.id = payments.wins_back_id
        WHERE payments.gateway_key IS NOT NULL
    ) AS charged, (
        SELECT count(*) FILTER (WHERE (refunds.state = 'succeeded'
                                       AND (done.outcome, done.amount, done.charge_key)
                                           IS DISTINCT FROM ('refunded', refunds.amount, payments.gateway_key))
                                      OR (refunds.state = 'declined' AND done.outcome = 'refunded')) AS differing
        FROM refunds JOIN payments ON payments.id = refunds.payment_id
        LEFT JOIN gateway_refunds AS done ON done.key = refunds.gateway_key
        WHERE refunds.gateway_key IS NOT NULL
    ) AS refunded, (
        SELECT (SELECT count(*) FROM gateway_charges AS charge LEFT JOIN payments ON payments.gateway_key = charge.key
                LEFT JOIN payments AS lost ON lost.gateway_key = charge.wins_back
                WHERE charge.outcome = 'charged' AND payments.id IS NULL
                  AND (charge.wins_back IS NULL OR charge.told_at IS NOT NULL
                                                   AND lost.regained IS DISTINCT FROM charge.amount)) AS charges,
               (SELECT count(*) FROM gateway_refunds AS done LEFT JOIN refunds ON refunds.gateway_key = done.key
                WHERE done.outcome = 'refunded' AND refunds.id IS NULL) AS refunds,
               (SELECT count(*) FROM (
                    SELECT charge_key, sum(amount) AS amount FROM gateway_refunds WHERE outcome = 'refunded'
                    GROUP BY charge_key
                ) AS back LEFT JOIN gateway_charges AS charge ON charge.key = back.charge_key
                WHERE back.amount > coalesce(charge.amount, 0)) AS beyond
    ) AS unknown
"""
