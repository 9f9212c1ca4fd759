"""An example of every payload, with ids that exist in tests with one plan, one payment and one text."""

from typing import Final

from portal.domain.events import (
    AutomaticPaymentOff,
    AutomaticPaymentOn,
    AutomaticPaymentStopped,
    CreditGiven,
    CustomerClaimed,
    CustomerMuted,
    CustomerUnmuted,
    InstallmentLate,
    InvitationCreated,
    InvitationRevoked,
    Payload,
    PaymentDeclined,
    PaymentRecorded,
    PaymentReversed,
    PaymentSucceeded,
    PlanCancelled,
    PlanClosed,
    PlanCompleted,
    PlanOpened,
    PlanReopened,
    PlanWrittenOff,
    RefundDeclined,
    RefundStarted,
    RefundSucceeded,
    ReminderSent,
    RemindersMuted,
    RemindersUnmuted,
)

SENTENCES: Final[list[tuple[Payload, str]]] = [
    (PlanOpened(amount=100_00, installments=3), "Plan made: SAR 100.00 in 3 installments"),
    (PlanOpened(amount=100_00, installments=1), "Plan made: SAR 100.00 in 1 installment"),
    (PlanCompleted(), "Nothing remains. Plan completed"),
    (PlanClosed(), "Nothing remains. Plan closed"),
    (PlanReopened(), "Plan open again"),
    (PlanCancelled(amount=5_00, reason_id=1), "Plan cancelled, SAR 5.00 void"),
    (PlanWrittenOff(amount=5_00, reason_id=1), "SAR 5.00 written off"),
    (CreditGiven(amount=5_00, how="last", reason_id=1), "SAR 5.00 credited, the last installment first"),
    (CreditGiven(amount=5_00, how="spread", reason_id=1), "SAR 5.00 credited, spread over the open installments"),
    (InstallmentLate(installment_id=1, amount=33_34), "Installment 1 is late, SAR 33.34 unpaid"),
    (PaymentSucceeded(payment_id=1, installment_id=1, amount=9_00), "SAR 9.00 paid for installment 1"),
    (PaymentSucceeded(payment_id=1, amount=9_00), "SAR 9.00 paid for installments 1 to 3"),
    (
        PaymentSucceeded(payment_id=1, installment_id=1, amount=9_00, recovered=4_00, automatic=True),
        "SAR 9.00 collected automatically for installment 1, SAR 4.00 of it had been written off",
    ),
    (PaymentRecorded(payment_id=1, installment_id=1, amount=9_00), "SAR 9.00 recorded as paid for installment 1"),
    (
        PaymentRecorded(payment_id=1, amount=9_00, recovered=4_00, reason_id=1),
        "SAR 9.00 recorded as paid for installments 1 to 3, SAR 4.00 of it had been written off",
    ),
    (
        PaymentDeclined(payment_id=1, installment_id=1, amount=9_00, code="lost_card"),
        "Payment of SAR 9.00 for installment 1 did not go through. The card was declined.",
    ),
    (
        PaymentDeclined(payment_id=1, amount=9_00, code="insufficient_funds", automatic=True),
        "Automatic payment of SAR 9.00 for installments 1 to 3 did not go through. "
        "There is not enough money on this card.",
    ),
    (PaymentReversed(payment_id=1, amount=9_00, reason_id=1), "SAR 9.00 paid for installments 1 to 3 was reversed"),
    (
        PaymentReversed(payment_id=1, amount=9_00, cause="taken_back"),
        "SAR 9.00 paid for installments 1 to 3 was reversed",
    ),
    (RefundStarted(payment_id=1, refund_id=7, amount=2_00, reason_id=1), "Refund of SAR 2.00 started"),
    (RefundSucceeded(payment_id=1, refund_id=8, amount=2_00, cause="overcharged"), "SAR 2.00 refunded"),
    (
        RefundDeclined(payment_id=1, refund_id=9, amount=2_00, code="not_refunded", reason_id=1),
        "Refund of SAR 2.00 was declined. The bank did not get it.",
    ),
    (InvitationCreated(), "Link mailed to the customer"),
    (InvitationCreated(link="pay"), "Pay link made"),
    (InvitationRevoked(), "Customer’s link revoked"),
    (InvitationRevoked(link="pay"), "Pay link revoked"),
    (CustomerClaimed(), "Customer set a password and can sign in"),
    (ReminderSent(numbers=(1, 3)), "Reminder sent for installments 1 and 3"),
    (ReminderSent(numbers=()), "Reminder sent"),
    (RemindersMuted(), "Reminders of this plan muted"),
    (RemindersUnmuted(), "Reminders of this plan turned on again"),
    (CustomerMuted(), "Reminders to the customer muted"),
    (CustomerUnmuted(), "Reminders to the customer turned on again"),
    (AutomaticPaymentOn(last4="4242"), "Automatic payment turned on, with the card ending in 4242"),
    (AutomaticPaymentOff(), "Automatic payment turned off"),
    (AutomaticPaymentStopped(last4="4242"), "Automatic payment ended: the card ending in 4242 was removed"),
]
"""Each with its sentence, for a plan in SAR whose payment 1 paid installments 1 to 3."""
EXAMPLES: Final[list[Payload]] = [payload for payload, _ in SENTENCES]
