"""The guards of acceptance, disputes and pairs of business and person, with raw SQL that each refuses."""
# ruff: noqa: S608 (SQL from constants)

from tests.models.guard_inserts import Guard, a_plan, insert

OUTSIDE = "'2026-01-01'"


def a_pair(**columns: str) -> str:
    return insert("customers", {"merchant_id": ":badr", "user_id": ":omar", "created_at": "now()"} | columns)


def an_acceptance(**columns: str) -> str:
    good = {
        "plan_id": ":plan", "user_id": ":omar", "way": "'button'", "accepted_at": "now()", "address": "'192.0.2.1'",
        "version": "'1'", "language": "'en'", "terms": "'You pay.'",
    }  # fmt: skip
    return insert("acceptances", good | columns)


def a_dispute(**columns: str) -> str:
    return insert("disputes", {"plan_id": ":plan", "user_id": ":omar", "opened_at": "now()"} | columns)


def a_proposal(**columns: str) -> str:
    good = {
        "plan_id": ":plan", "user_id": ":omar", "how": "'shift'", "reason_id": "(SELECT max(id) FROM texts)",
        "open_ids": "'{1}'", "open_days": "'{2026-12-01}'", "open_amounts": "'{5}'", "closed_ids": "'{1}'",
        "new_days": "'{2026-11-30}'", "new_amounts": "'{5}'", "proposed_at": "now()",
        "expires_at": "now() + interval '1 day'",
    }  # fmt: skip
    text = "INSERT INTO texts (plan_id, kind, text, created_at) VALUES (:plan, 'reason', 'Please', now());"
    return text + insert("reschedule_proposals", good | columns)


LAST_TEXT = "(SELECT max(id) FROM texts)"
AN_ANSWER = "INSERT INTO texts (plan_id, kind, text, created_at) VALUES (:plan, 'answer', 'A cake', now())"
ANSWERED = {"answered_at": "now()", "answer_id": LAST_TEXT}
UPHELD = ANSWERED | {"insisted_at": "now()"}
PAID = "'paid'"
ENDED = {"ended_at": "now()", "outcome": "'stands'"}
ACCEPTED = {"ended_at": "now()", "outcome": "'accepted'", "version": "'1'", "language": "'en'", "terms": "'I pay.'"}

AGREEMENT_GUARDS = [
    Guard("a customer with an empty name", "ck_customers_name", a_pair(name="''")),
    Guard("a note of two lines", "ck_customers_note", a_pair(note="E'a\\nb'")),
    Guard("a phone number in words", "ck_customers_phone", a_pair(phone="'later'")),
    Guard("31 days to withdraw from a business", "ck_merchants_withdrawal_days",
          "UPDATE merchants SET withdrawal_days = 31 WHERE id = :amal"),
    Guard("31 days to withdraw", "ck_plans_withdrawal_days", a_plan(withdrawal_days="31")),
    Guard("a plan that changes its withdrawal days", "plans_fixed",
          "UPDATE plans SET withdrawal_days = 3 WHERE id = :plan"),
    Guard("not counted, and never lapses", "ck_plans_counted",
          "UPDATE plans SET counted = false WHERE id = :late_plan"),
    Guard("counted, and lapses", "ck_plans_counted", "UPDATE plans SET lapses_at = now() WHERE id = :late_plan"),
    Guard("accepted, and lapses", "ck_plans_accepted",
          "UPDATE plans SET counted = false, lapses_at = now(), accepted_at = now() WHERE id = :late_plan"),
    Guard("disputed since no time", "ck_plans_disputed", "UPDATE plans SET disputed = true WHERE id = :late_plan"),
    Guard("a dispute that ended before it began", "ck_plans_disputed",
          "UPDATE plans SET dispute_ended_at = now() WHERE id = :late_plan"),
    Guard("closed and disputed", "ck_plans_disputed",
          "UPDATE plans SET disputed = true, disputed_at = now() WHERE id = :done_plan"),
    Guard("an acceptance taken back", "plans_accepted_stay",
          "UPDATE plans SET accepted_at = now() WHERE id = :plan;UPDATE plans SET accepted_at = NULL WHERE id = :plan",
          by="plans_fixed"),
    Guard("disputed after the acceptance", "plans_disputed_once",
          "UPDATE plans SET accepted_at = now() WHERE id = :plan;"
          "UPDATE plans SET disputed_at = now(), dispute_ended_at = now() WHERE id = :plan", by="plans_fixed"),
    Guard("disputed twice", "plans_disputed_once",
          "UPDATE plans SET disputed = true, disputed_at = now() WHERE id = :plan;"
          f"UPDATE plans SET disputed_at = {OUTSIDE} WHERE id = :plan", by="plans_fixed"),
    Guard("a dispute that goes on without a reopening", "plans_disputed_once",
          "UPDATE plans SET disputed_at = now(), dispute_ended_at = now() WHERE id = :plan;"
          "UPDATE plans SET disputed = true, dispute_ended_at = NULL WHERE id = :plan", by="plans_fixed"),
    Guard("an installment that counts otherwise than its plan", "fk_installments_plan",
          "UPDATE installments SET counted = false WHERE id = :open"),
    Guard("an installment disputed without its plan", "fk_installments_plan",
          "UPDATE installments SET disputed = true WHERE id = :open"),
    Guard("a pair of nobody", "fk_customers_user_id", a_pair(user_id="0")),
    Guard("a pair of no business", "fk_customers_merchant_id", a_pair(merchant_id="0")),
    Guard("two pairs of the same", "pk_customers", a_pair(merchant_id=":amal")),
    Guard("accepted in no way", "ck_acceptances_way", an_acceptance(way="'wink'")),
    Guard("accepted without terms", "ck_acceptances_whole", an_acceptance(terms="''")),
    Guard("accepted twice", "pk_acceptances", an_acceptance() + ";" + an_acceptance()),
    Guard("two disputes of one customer of a plan", "uq_disputes_plan_id", a_dispute() + ";" + a_dispute()),
    Guard("an open dispute that moved", "ck_disputes_moved", a_dispute(moved_at="now()")),
    Guard("a plan that moves with the dispute of its former customer", "plans_customer_fixed",
          f"{a_dispute()};UPDATE plans SET customer_id = :badr WHERE id = :plan", by="plans_fixed"),
    Guard("a dispute of another person", "disputes_fixed", f"{a_dispute()};UPDATE disputes SET user_id = :amal"),
    Guard("a dispute that ends otherwise later", "disputes_fixed",
          f"{a_dispute(**ENDED)};UPDATE disputes SET outcome = 'void'"),
    Guard("a decided dispute that goes on", "disputes_fixed",
          f"{a_dispute(**ENDED)};UPDATE disputes SET ended_at = NULL, outcome = NULL"),
    Guard("an answer to a dispute that ended", "disputes_fixed",
          f"{AN_ANSWER};{a_dispute(**ENDED)};UPDATE disputes SET answered_at = now(), answer_id = {LAST_TEXT}"),
    Guard("upheld at another instant", "disputes_fixed",
          f"{AN_ANSWER};{a_dispute(**UPHELD)};UPDATE disputes SET insisted_at = now() + interval '1 s'"),
    Guard("upheld no more", "disputes_fixed",
          f"{AN_ANSWER};{a_dispute(**UPHELD)};UPDATE disputes SET insisted_at = NULL"),
    Guard("upheld after the end", "disputes_fixed",
          f"{AN_ANSWER};{a_dispute(**ANSWERED, **ENDED)};UPDATE disputes SET insisted_at = now()"),
    Guard("upheld as the dispute goes on", "disputes_fixed",
          f"{AN_ANSWER};{a_dispute(**ANSWERED, **(ENDED | {'outcome': PAID}))};"
          "UPDATE disputes SET insisted_at = now(), ended_at = NULL, outcome = NULL"),
    Guard("a dispute deleted", "disputes_stay", a_dispute() + ";DELETE FROM disputes", by="disputes_fixed"),
    Guard("other terms afterwards", "acceptances_fixed",
          an_acceptance() + ";UPDATE acceptances SET terms = 'More', address = NULL"),
    Guard("another address", "acceptances_fixed", an_acceptance() + ";UPDATE acceptances SET address = '192.0.2.2'"),
    Guard("an acceptance deleted", "acceptances_stay", an_acceptance() + ";DELETE FROM acceptances",
          by="acceptances_fixed"),
    Guard("two open proposals of a plan", "uq_reschedule_proposals_open_plan_id", a_proposal() + ";" + a_proposal()),
    Guard("a proposal of other days in no way", "ck_reschedule_proposals_how", a_proposal(how="'jump'")),
    Guard("a proposal without an end to answer", "ck_reschedule_proposals_expires", a_proposal(expires_at="now()")),
    Guard("a proposal that ended without an outcome", "ck_reschedule_proposals_ended", a_proposal(ended_at="now()")),
    Guard("a proposal with an odd end", "ck_reschedule_proposals_outcome",
          a_proposal(ended_at="now()", outcome="'lost'")),
    Guard("a proposal accepted without its text", "ck_reschedule_proposals_accepted",
          a_proposal(**(ACCEPTED | {"terms": "''"}))),
    Guard("a proposal accepted without a language", "ck_reschedule_proposals_accepted",
          a_proposal(**(ACCEPTED | {"language": "NULL"}))),
    Guard("a proposal that closes another plan's part", "ck_reschedule_proposals_rows", a_proposal(closed_ids="'{2}'")),
    Guard("a proposal of nothing", "ck_reschedule_proposals_rows", a_proposal(new_amounts="'{0}'")),
    Guard("a proposal with the reason of another plan", "fk_reschedule_proposals_reason",
          a_proposal(plan_id=":late_plan")),
    Guard("a proposal of no plan", "fk_reschedule_proposals_plan_id", a_proposal(plan_id="0"),
          beside=("fk_reschedule_proposals_reason",)),
    Guard("a proposal to nobody", "fk_reschedule_proposals_user_id", a_proposal(user_id="0")),
    Guard("a proposal by nobody", "fk_reschedule_proposals_proposed_by", a_proposal(proposed_by="0")),
    Guard("other days in a proposal", "reschedule_proposals_fixed",
          a_proposal() + ";UPDATE reschedule_proposals SET new_days = '{2026-11-01}'"),
    Guard("a proposal that ended twice", "reschedule_proposals_fixed",
          a_proposal(**ACCEPTED) + ";UPDATE reschedule_proposals SET ended_at = ended_at + interval '1 s'"),
    Guard("a proposal deleted", "reschedule_proposals_stay", a_proposal() + ";DELETE FROM reschedule_proposals",
          by="reschedule_proposals_fixed"),
    Guard("answered without an answer", "ck_disputes_answered", a_dispute(answered_at="now()")),
    Guard("upheld before the answer", "ck_disputes_answered", a_dispute(insisted_at="now()")),
    Guard("ended without an outcome", "ck_disputes_ended", a_dispute(ended_at="now()")),
    Guard("ended in an unknown way", "ck_disputes_outcome", a_dispute(ended_at="now()", outcome="'lost'")),
    Guard("the answer of another plan", "fk_disputes_answer",
          "INSERT INTO texts (plan_id, kind, text, created_at) VALUES (:late_plan, 'answer', 'No', now());"
          + a_dispute(answered_at="now()", answer_id="(SELECT max(id) FROM texts)")),
]  # fmt: skip
