"""The request and response schemas as msgspec structs. The OpenAPI document is generated from them."""

from portal.api.schemas.accounts import (
    Account,
    Login,
    Me,
    MerchantMembership,
    Refresh,
    Registration,
    Tokens,
    account,
    me,
)
from portal.api.schemas.analytics import AgeingReport, Dashboard, ageing, dashboard
from portal.api.schemas.installments import (
    Installment,
    InstallmentQuery,
    PaidInstallment,
    PlanInstallmentQuery,
    installment,
    paid_installment,
)
from portal.api.schemas.kinds import FaultShape, Nothing, Problem
from portal.api.schemas.payment_methods import NewPaymentMethod, SavedPaymentMethod, payment_method
from portal.api.schemas.payments import NewRecordedPayment, Pay, Payment, PaymentQuery, PayPlan, payment
from portal.api.schemas.plan_actions import (
    CancelledPlan,
    NewCancellation,
    NewCredit,
    NewReversal,
    NewWriteOff,
    cancelled_plan,
)
from portal.api.schemas.plans import NewPlan, Plan, PlanQuery, PlanTerms, Preview, plan, plan_row, preview
from portal.api.schemas.refunds import NewRefund, Refund, RefundAnswer, RefundQuery, refund, refund_answer

__all__ = [
    "Account",
    "AgeingReport",
    "CancelledPlan",
    "Dashboard",
    "FaultShape",
    "Installment",
    "InstallmentQuery",
    "Login",
    "Me",
    "MerchantMembership",
    "NewCancellation",
    "NewCredit",
    "NewPaymentMethod",
    "NewPlan",
    "NewRecordedPayment",
    "NewRefund",
    "NewReversal",
    "NewWriteOff",
    "Nothing",
    "PaidInstallment",
    "Pay",
    "PayPlan",
    "Payment",
    "PaymentQuery",
    "Plan",
    "PlanInstallmentQuery",
    "PlanQuery",
    "PlanTerms",
    "Preview",
    "Problem",
    "Refresh",
    "Refund",
    "RefundAnswer",
    "RefundQuery",
    "Registration",
    "SavedPaymentMethod",
    "Tokens",
    "account",
    "ageing",
    "cancelled_plan",
    "dashboard",
    "installment",
    "me",
    "paid_installment",
    "payment",
    "payment_method",
    "plan",
    "plan_row",
    "preview",
    "refund",
    "refund_answer",
]
