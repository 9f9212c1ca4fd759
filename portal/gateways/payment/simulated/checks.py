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
    SELECT charged.differing, charged.forgotten, refunded.differing, charged.unknown, unknown.refunds, unknown.beyond
    FROM (
        SELECT count(*) FILTER (WHERE (payments.state IN ('succeeded', 'reversed', 'voided')
                                       AND (charge.outcome, charge.amount, charge.currency, charge.wins_back)
                                           IS DISTINCT FROM ('charged', payments.amount + coalesce(won.regained, 0),
                                                             payments.currency, won.lost_key))
                                      OR (payments.state = 'declined' AND charge.outcome = 'charged')) AS differing,
               count(*) FILTER (WHERE charge.told_at IS NOT NULL AND charge.wins_back IS NULL
                                      AND payments.state <> 'reversed'
                                      AND payments.refunded <> payments.amount
                                      OR (payments.state = 'reversed' AND payments.reversed + payments.lost
                                          IS DISTINCT FROM charge.reversed_amount)
                                      OR (payments.regained > 0 AND NOT EXISTS (
                                          SELECT FROM gateway_charges AS won WHERE won.wins_back = payments.gateway_key
                                          AND won.amount >= payments.regained))) AS forgotten,
               count(*) FILTER (WHERE payments.id IS NULL AND charge.outcome = 'charged'
                                      AND (charge.wins_back IS NULL
                                           OR charge.told_at IS NOT NULL AND charge.amount IS DISTINCT FROM (
                                               SELECT lost.regained FROM payments AS lost
                                               WHERE lost.gateway_key = charge.wins_back))) AS unknown
        FROM (SELECT * FROM payments WHERE gateway_key IS NOT NULL) AS payments
        FULL JOIN gateway_charges AS charge ON charge.key = payments.gateway_key
        LEFT JOIN (
            SELECT won.id, lost.regained, lost.gateway_key AS lost_key
            FROM payments AS won JOIN payments AS lost ON lost.id = won.wins_back_id
            WHERE won.wins_back_id IS NOT NULL
        ) AS won ON won.id = payments.id
    ) AS charged, (
        SELECT count(*) FILTER (WHERE (refunds.state = 'succeeded'
                                       AND (done.outcome, done.amount, done.charge_key)
                                           IS DISTINCT FROM ('refunded', refunds.amount, payments.gateway_key))
                                      OR (refunds.state = 'declined' AND done.outcome = 'refunded')) AS differing
        FROM refunds JOIN payments ON payments.id = refunds.payment_id
        LEFT JOIN gateway_refunds AS done ON done.key = refunds.gateway_key
        WHERE refunds.gateway_key IS NOT NULL
    ) AS refunded, (
        SELECT (SELECT count(*) FROM gateway_refunds AS done LEFT JOIN refunds ON refunds.gateway_key = done.key
                WHERE done.outcome = 'refunded' AND refunds.id IS NULL) AS refunds,
               (SELECT count(*) FROM (
                    SELECT charge_key, sum(amount) AS amount FROM gateway_refunds WHERE outcome = 'refunded'
                    GROUP BY charge_key
                ) AS back LEFT JOIN gateway_charges AS charge ON charge.key = back.charge_key
                WHERE back.amount > coalesce(charge.amount, 0)) AS beyond
    ) AS unknown
"""
