"""INSERT statements for guard tests: rows that the database accepts, except for the columns that a caller overrides.

The values are SQL text. Parameters such as `:omar` are names of `sample_plans.sample_plans`.
"""
# ruff: noqa: S608 (SQL from constants)

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Guard:
    """A guard, and the statement `breaks` that it refuses with the constraint name `rule`.

    `by` is the trigger, constraint or unique index that refuses. By default its name is the rule's. `beside` are the
    other guards that refuse the same statement. Without `by` and `beside` the database accepts the statement.
    """

    about: str
    rule: str
    breaks: str
    by: str = ""
    beside: tuple[str, ...] = field(default=())

    @property
    def guard(self) -> str:
        return self.by or self.rule


def a_user(**columns: str) -> str:
    return insert(
        "users",
        {"registered_as": "'customer'", "email": "'x@example.com'", "username": "'x'", "password_hash": "'h'"}
        | {"email_key": "'x@example.com'", "username_key": "'x'"}
        | {"created_at": "now()", "email_proven_at": "NULL" if columns.get("password_hash") == "NULL" else "now()"}
        | {f"{name}_key": f"lower({columns[name]})" for name in ("email", "username") if name in columns}
        | columns,
    )


def a_plan(**columns: str) -> str:
    """A plan with one installment."""
    good = {
        "merchant_id": ":amal", "customer_id": ":omar", "description": "''", "total": "100", "currency": "'SAR'",
        "num_installments": "1", "interval": "'weekly'", "start_date": "'2026-01-01'", "time_zone": "'UTC'",
        "grace_days": "0", "state": "'active'", "created_at": "now()", "updated_at": "now()",
    }  # fmt: skip
    newest = {"plan_id": "(SELECT max(id) FROM plans)", "amount": "(SELECT total FROM plans ORDER BY id DESC LIMIT 1)"}
    return insert("plans", good | columns) + ";" + an_installment(**newest)


def an_installment(**columns: str) -> str:
    good = {
        "plan_id": ":late_plan", "merchant_id": ":amal", "customer_id": ":omar", "currency": "'SAR'", "number": "1",
        "due_date": "'2026-01-01'", "late_on": "'2026-01-02'", "late_at": "now()", "amount": "100", "paid": "0",
        "credited": "0", "written_off": "0",
    }  # fmt: skip
    return insert("installments", good | columns)


def one_more(**columns: str) -> str:
    """A third installment of late_plan. The plan's total is raised accordingly."""
    raised = "UPDATE plans SET total = total + 100, num_installments = num_installments + 1 WHERE id = :late_plan;"
    return raised + an_installment(**({"number": "3"} | columns))


def a_payment(**columns: str) -> str:
    """A payment in flight for late_plan's first installment."""
    good = {
        "plan_id": ":late_plan", "merchant_id": ":amal", "customer_id": ":omar", "currency": "'SAR'", "amount": "100",
        "state": "'in_flight'", "method": "'card_ok'", "gateway_key": "'fresh'", "created_by": ":omar",
        "created_at": "now()",
    }  # fmt: skip
    newest = "(SELECT max(id) FROM payments)"
    part = {"payment_id": newest, "installment_id": ":late", "amount": "100", "state": "'held'"}
    return insert("payments", good | columns) + ";" + insert("allocations", part)


def a_charge(**columns: str) -> str:
    good = {"key": "'fresh'", "outcome": "'charged'", "reference": "'fresh'", "created_at": "now()"}
    return insert("gateway_charges", good | columns)


def a_refund(**columns: str) -> str:
    """A refund in flight of `payment`. The refunding amount of the payment does not include it."""
    good = {
        "payment_id": ":payment", "plan_id": ":plan", "merchant_id": ":amal", "customer_id": ":omar",
        "currency": "'SAR'", "amount": "100", "state": "'in_flight'", "group_key": "'g'", "gateway_key": "'fresh'",
        "created_at": "now()",
    }  # fmt: skip
    return insert("refunds", good | columns)


def a_gateway_refund(**columns: str) -> str:
    good = {"key": "'fresh'", "outcome": "'refunded'", "reference": "'fresh'", "created_at": "now()"}
    return insert("gateway_refunds", good | columns)


def a_card() -> str:
    return insert("gateway_cards", {"token": "'pm'", "card": "'card_ok'", "created_at": "now()"})


def a_method(**columns: str) -> str:
    good = {"customer_id": ":omar", "token": "'pm'", "brand": "'Visa'", "last4": "'4242'", "created_at": "now()"}
    return insert("payment_methods", good | columns)


def an_entry(lines: str, **columns: str) -> str:
    good = {"merchant_id": ":amal", "plan_id": ":plan", "kind": "'plan_opened'"}
    good |= {"booked_on": "current_date", "recorded_at": "now()"}
    if "'cash'" in lines:
        good |= {"collected_currency": "'SAR'", "collected": "5"}
    entry = insert("ledger_entries", good | columns)
    into = "INSERT INTO ledger_lines (entry_id, account, currency, amount) "
    values = f"(VALUES {lines}) AS line (account, currency, amount)"
    return f"{entry};{into}SELECT max(id), account, currency, amount FROM ledger_entries, {values} GROUP BY 2, 3, 4"


def a_text(**columns: str) -> str:
    return insert(
        "texts", {"plan_id": ":plan", "kind": "'reason'", "text": "'Broken'", "created_at": "now()"} | columns
    )


def an_event(**columns: str) -> str:
    return insert("events", {"plan_id": ":plan", "kind": "'plan.closed'", "created_at": "now()"} | columns)


def an_invitation(**columns: str) -> str:
    good = {
        "plan_id": ":plan", "kind": "'customer'", "token_hash": "sha256('x')", "seed": "sha256('y')",
        "created_at": "now()", "expires_at": "now() + '1 day'",
    }  # fmt: skip
    return insert("invitations", good | columns)


def a_shop_report(**columns: str) -> str:
    good = {
        "invitation_id": ":invitation", "plan_id": ":invited_plan", "merchant_id": ":amal", "created_at": "now()",
    }  # fmt: skip
    return insert("shop_reports", good | columns)


def a_mail(**columns: str) -> str:
    good = {
        "dedupe_key": "'fresh:1'", "kind": "'receipt'", "to_user_id": ":omar", "state": "'waiting'",
        "next_try_at": "now()", "created_at": "now()",
    }  # fmt: skip
    return insert("emails", good | columns)


def a_proof(**columns: str) -> str:
    good = {
        "user_id": ":omar", "email": "'x@example.com'", "email_key": "'x@example.com'", "has_code": "true",
        "asked_from": "''", "token_hash": "sha256('t')", "code_hash": "sha256('c')", "created_at": "now()",
        "expires_at": "now() + interval '1 h'",
    }  # fmt: skip
    return insert("email_proofs", good | columns)


def an_email_change(**columns: str) -> str:
    good = {
        "user_id": ":omar", "old_email": "'x@example.com'", "old_email_key": "'x@example.com'",
        "new_email": "'omar@example.com'", "token_hash": "sha256('t')", "created_at": "now()",
        "expires_at": "now() + interval '1 h'",
    }  # fmt: skip
    return insert("email_changes", good | columns)


def a_reset(**columns: str) -> str:
    good = {"user_id": ":omar", "token_hash": "sha256('a')", "created_at": "now()", "expires_at": "now() + '1 hour'"}
    return insert("password_resets", good | columns)


def a_refresh_token(**columns: str) -> str:
    family = {"user_id": ":omar", "created_at": "now()", "expires_at": "now() + '1 day'"}
    good = {"family_id": "(SELECT max(id) FROM token_families)", "token_hash": "sha256('x')", "created_at": "now()"}
    return insert("token_families", family) + ";" + insert("refresh_tokens", good | columns)


def an_api_key(**columns: str) -> str:
    good = {
        "merchant_id": ":amal", "created_by": ":amal", "maker_role": "'owner'",
        "name": "'Shop'", "prefix": "'abc'", "secret_hash": "sha256('x')",
        "created_at": "now()",
    }  # fmt: skip
    return insert("api_keys", good | columns)


def a_membership(**columns: str) -> str:
    good = {"user_id": ":omar", "merchant_id": ":amal", "role": "'viewer'", "created_at": "now()"}
    return insert("memberships", good | columns)


def a_team_invitation(**columns: str) -> str:
    good = {
        "merchant_id": ":amal", "email": "'x@example.com'", "email_key": "'x@example.com'", "role": "'viewer'",
        "token_hash": "sha256('t')", "invited_by": ":amal", "created_at": "now()", "expires_at": "now() + '7 days'",
    }  # fmt: skip
    return insert("team_invitations", good | columns)


def a_reminder(**columns: str) -> str:
    good = {
        "installment_id": ":late", "rule": "7", "due_date": "'2026-01-01'", "plan_id": ":late_plan",
        "merchant_id": ":amal", "customer_id": ":omar", "local_day": "'2026-01-08'", "state": "'waiting'",
        "created_at": "now()",
    }  # fmt: skip
    return insert("reminders", good | columns)


def an_attempt(**columns: str) -> str:
    return insert("automatic_attempts", {"installment_id": ":late", "rule": "7", "created_at": "now()"} | columns)


def insert(table: str, columns: dict[str, str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"
