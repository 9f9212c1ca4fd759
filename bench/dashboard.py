"""The duration of the dashboard's figures, the lists and a file for a merchant with a million installments.

Prints the best of three runs for each, relative to a plain count of the installments, and the memory that a file of all
installments adds to this process.
"""

import resource
import time
from collections.abc import Callable

from sqlalchemy import text

from bench import _large
from portal.domain import permissions
from portal.extensions import db
from portal.models import Merchant
from portal.reports import orders
from portal.reports.exports.installments import export_installments
from portal.reports.merchants import customers, dashboard, overview
from portal.reports.merchants.filters import CustomerFilters
from portal.reports.payments import payments
from portal.reports.payments.filters import PaymentFilters
from portal.reports.plans import plans
from portal.reports.plans.filters import InstallmentFilters, PlanFilters


def main(count: int = _large.PLANS) -> None:
    with _large.installation(count) as app, app.app_context():
        merchant, user = db.session.get_one(Merchant, 1), permissions.member(1, 1, "owner")
        reads: dict[str, Callable[[], object]] = {
            "a plain count of the installments": lambda: db.session.scalar(text("SELECT count(*) FROM installments")),
            "the dashboard's figures": lambda: overview.overview(merchant),
            "the API's figures": lambda: dashboard.figures(merchant),
            "most overdue, latest payments": lambda: (
                dashboard.plans_needing_attention(1),
                dashboard.latest_payments(1),
            ),
            "plans, first page": lambda: plans.list_plans(user, limit=20),
            "plans, searched for nothing there": lambda: plans.list_plans(
                user, PlanFilters(search="not there"), limit=20
            ),
            "plans, next due first": lambda: plans.list_plans(user, order=orders.PLANS["due"], limit=20),
            "installments, late": lambda: plans.list_installments(user, InstallmentFilters(status="late"), limit=30),
            "payments, first page": lambda: payments.list_with_plans(user, limit=30),
            "payments, refunded": lambda: payments.list_with_plans(user, PaymentFilters(state="refunded"), limit=30),
            "customers, newest": lambda: customers.list_customers(merchant, limit=30),
            "customers, most overdue": lambda: customers.list_customers(
                merchant, CustomerFilters(show="overdue"), limit=30
            ),
        }
        times = {name: min(_timed(read) for _ in range(3)) for name, read in reads.items()}
        plain = next(iter(times.values()))
        for name, seconds in times.items():
            print(f"{1000 * seconds:8.1f} ms {seconds / plain:7.2f} x  {name}")
        before = _peak()
        began = time.perf_counter()
        rows = sum(1 for _ in export_installments(user).rows)
        seconds = time.perf_counter() - began
        print(f"{rows:,} installments for a file: {rows / seconds:,.0f} rows/s, {_peak() - before:.0f} MB more")


def _timed(read: Callable[[], object]) -> float:
    db.session.rollback()
    began = time.perf_counter()
    read()
    return time.perf_counter() - began


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
