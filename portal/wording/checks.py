"""The rules of `qist check` and of the operator's page, by code, in sentences."""

from typing import Final

from portal.wording.lazy import lazy_gettext as _l

RULES: Final = {
    "plan_total": _l("Every plan's installments add up to its total"),
    "plan_state": _l("A plan is active exactly as long as something is owed"),
    "plan_closed": _l(
        "A closed plan is completed if something of what was paid was kept, and cancelled otherwise or by its merchant"
    ),
    "plan_due": _l("A plan's next due date and the moment it is late are those of its oldest open installment"),
    "plan_booked": _l("Every plan that counts was booked once, with its total as sales, and no other"),
    "ledger_receivable": _l("What the ledger says is receivable is what remains of the installments"),
    "ledger_credits": _l("Credits in the ledger are what was credited or made void"),
    "ledger_write_offs": _l("Write-offs in the ledger are what is written off"),
    "ledger_cash": _l("Cash in the ledger is what came in, less what was refunded or reversed"),
    "ledger_refunds": _l("Refunds in the ledger are what was refunded of what had been owed"),
    "ledger_prepayments": _l("Nothing is prepaid of a plan that counts"),
    "ledger_payable": _l("Refunds payable are the refunds whose outcome is not known"),
    "plan_quiet": _l(
        "A plan that waits for acceptance was neither late nor reminded of, and is not paid automatically"
    ),
    "plan_dispute": _l("Every disputed plan has its dispute, with the same beginning and end"),
    "plan_acceptance": _l("Every kept acceptance is that of its plan"),
    "installment_paid": _l(
        "What is paid of an installment is what payments allocated to it, less what no longer counts"
    ),
    "installment_held": _l("What is held of an installment is what payments in flight hold of it"),
    "installment_cancelled": _l("Only installments of a cancelled plan are cancelled, and nothing of them is owed"),
    "payment_allocated": _l("Every payment is allocated to the last unit, and in step with its state"),
    "payment_refunded": _l("What was given back of a payment is what its refunds say, and never more than came in"),
    "payment_booked": _l(
        "Every payment that came in is booked once, and again if the bank took it back or returned a loss; no other is "
        "booked"
    ),
    "gateway_charges": _l("The gateway charged, or gave back, what came in through it, and nothing that was declined"),
    "gateway_reversals": _l(
        "A payment is reversed exactly if the bank took it back at the gateway, with the same amount"
    ),
    "ledger_overpaid": _l(
        "Overpaid in the ledger is what was charged beyond what was owed and has not gone back; each has its refund"
    ),
    "allocation_plan": _l("A payment pays installments of its own plan only"),
    "refund_booked": _l("Every refund is booked once with its outcome, and by a gateway also when it is asked for"),
    "gateway_refunds": _l(
        "The gateway gave back what was refunded through it, of the right charge, and nothing that was declined"
    ),
    "ledger_balanced": _l("Every ledger entry sums to zero, in the currency of its plan"),
    "due_totals": _l("The sums of what is due, paid and late on each day are what its installments say"),
    "collected_totals": _l("The sums of what was collected on each day are what the ledger says"),
    "customer_balances": _l("What each customer owes is what remains of their installments"),
    "gateway_unknown_charges": _l("The gateway charged nothing that we do not know of"),
    "gateway_unknown_refunds": _l("The gateway gave back nothing that we do not know of"),
    "gateway_refunded_beyond": _l("The gateway gave back no more of a charge than it charged"),
}
"""By the code in portal/reports/operations/checks.py and in the payment gateway."""


def rule(code: str) -> str:
    """The sentence of a rule. A rule of a gateway without a sentence here is shown by its code."""
    return str(RULES.get(code, code))
