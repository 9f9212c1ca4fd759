"""Guards of businesses, teams, acts of operators and erasures, with raw SQL that each refuses."""
# ruff: noqa: S608 (SQL from constants)

from typing import Final

from tests.models.guard_inserts import (
    Guard,
    a_mail,
    a_membership,
    a_plan,
    a_refund,
    a_team_invitation,
    an_api_key,
    insert,
)

OWNER_IS_CUSTOMER = "plans_two_parties"


def an_erasure(hash: str = "sha256('x')") -> str:
    good = {"user_id": ":omar", "created_at": "now()", "erased_at": "now()", "email_hash": hash}
    return insert("erasures", good)


def notices(**columns: str) -> str:
    good = {"user_id": ":amal", "merchant_id": ":amal", "next_day": "now()", "told_number": "0", "told_at": "now()"}
    return insert("notice_settings", good | columns)


TEAM_GUARDS = [
    Guard("a customer with an open plan joins as an owner", OWNER_IS_CUSTOMER, a_membership(role="'owner'"),
          by="plans_two_parties_members"),
    Guard("a member with an open plan becomes an owner", OWNER_IS_CUSTOMER,
          a_membership() + ";UPDATE memberships SET role = 'owner' WHERE user_id = :omar",
          by="plans_two_parties_members"),
    Guard("a notice that does not exist", "ck_notice_settings_off", notices(off="'{paid,lost}'")),
    Guard("a notice without a name", "ck_notice_settings_off", notices(off="'{NULL}'")),
    Guard("told before the first event", "ck_notice_settings_told_number", notices(told_number="-1")),
    Guard("notices of nobody's membership", "fk_notice_settings_membership", notices(user_id=":omar")),
    Guard("two settings of one member", "pk_notice_settings", notices() + ";" + notices()),
    Guard("a negative limit of refunds", "ck_memberships_refund_limit", a_membership(refund_limit="-1")),
    Guard("a key with a negative limit of refunds", "ck_api_keys_refund_limit", an_api_key(refund_limit="-1")),
    Guard("an invitation to a role that does not exist", "ck_team_invitations_role",
          a_team_invitation(role="'boss'")),
    Guard("a team's token that is no hash", "ck_team_invitations_token_hash",
          a_team_invitation(token_hash="'short'")),
    Guard("an invitation to a team that never worked", "ck_team_invitations_expires",
          a_team_invitation(expires_at="now()")),
    Guard("accepted and still open", "ck_team_invitations_accepted", a_team_invitation(accepted_by=":omar")),
    Guard("an invited email under another key", "ck_team_invitations_email_key",
          a_team_invitation(email_key="'y@example.com'")),
    Guard("two invitations of one token", "uq_team_invitations_token_hash",
          a_team_invitation() + ";" + a_team_invitation(email="'y@example.com'", email_key="'y@example.com'")),
    Guard("two open invitations of one email", "uq_team_invitations_live_merchant_id_email_key",
          a_team_invitation() + ";" + a_team_invitation(token_hash="sha256('u')")),
    Guard("an erased account with its email", "ck_users_erased",
          "UPDATE users SET erased_at = now(), deactivated_at = now() WHERE id = :invited"),
    Guard("an erasure under half a hash", "ck_erasures_email_hash", an_erasure(hash="'x'")),
    Guard("two erasures of one account", "pk_erasures", an_erasure() + ";" + an_erasure()),
    Guard("a mail to nobody", "ck_emails_one_recipient", a_mail(to_user_id="NULL")),
    Guard("a mail to a user and elsewhere", "ck_emails_one_recipient", a_mail(to_address="'x@example.com'")),
    Guard("a refund by another key", "refunds_fixed",
          an_api_key() + ";UPDATE refunds SET api_key_id = (SELECT max(id) FROM api_keys) WHERE id = :refund"),
]  # fmt: skip


def an_act(**columns: str) -> str:
    good = {"kind": "'merchant_approved'", "merchant_id": ":amal", "created_at": "now()"}
    return insert("operator_acts", good | columns)


def a_draft(**columns: str) -> str:
    good = {
        "merchant_id": ":amal", "created_by": ":amal", "customer_email": "'x@example.com'", "description": "''",
        "total": "100", "currency": "'SAR'", "num_installments": "1", "interval": "'weekly'",
        "start_date": "'2026-01-01'", "created_at": "now()",
    }  # fmt: skip
    return insert("plan_drafts", good | columns)


def a_security_event(**columns: str) -> str:
    good = {"kind": "'signed_in'", "user_id": ":omar", "address": "''", "browser": "''", "created_at": "now()"}
    return insert("security_events", good | columns)


def terms(**columns: str) -> str:
    good = {
        "merchant_id": ":amal", "position": "1", "name": "'Weekly'", "num_installments": "4", "interval": "'weekly'",
        "first_days": "7",
    }  # fmt: skip
    return insert("usual_terms", good | columns)


SECOND_PLAN: Final = a_plan().partition(";")[0]
NOT_LIVE: Final = f"UPDATE merchants SET {{}} WHERE id = :amal; {SECOND_PLAN}"
BESIDE: Final = ("schedule_sum_plan", "plans_state")

OPERATOR_GUARDS: Final = [
    Guard("a business approved and declined", "ck_merchants_decided",
          "UPDATE merchants SET declined_at = now() WHERE id = :amal"),
    Guard("a business closed before it was closing", "ck_merchants_closed",
          "UPDATE merchants SET closing_at = now(), closed_at = now() - interval '1 day' WHERE id = :amal"),
    Guard("a business closed at once", "ck_merchants_closed_after_closing",
          "UPDATE merchants SET closed_at = now() WHERE id = :amal"),
    Guard("a plan of a business that waits for approval", "plans_business_live",
          NOT_LIVE.format("approved_at = NULL"), beside=BESIDE),
    Guard("a plan of a deactivated business", "plans_business_live",
          NOT_LIVE.format("deactivated_at = now()"), beside=BESIDE),
    Guard("a plan of a business that closes", "plans_business_live",
          NOT_LIVE.format("closing_at = now()"), beside=BESIDE),
    Guard("an act of no kind", "ck_operator_acts_kind", an_act(kind="'hugged'")),
    Guard("an act on nothing", "ck_operator_acts_subject", an_act(merchant_id="NULL")),
    Guard("a mail sent again without its number", "ck_operator_acts_detail", an_act(kind="'mail_resent'")),
    Guard("a draft of no interval", "ck_plan_drafts_interval", a_draft(interval="'daily'")),
    Guard("a draft that failed at no time", "ck_plan_drafts_tried", a_draft(fault="'bad_email'")),
    Guard("terms without a name", "ck_usual_terms_named", terms(name="''")),
    Guard("terms of no interval", "ck_usual_terms_interval", terms(interval="'custom'")),
    Guard("terms of no installments", "ck_usual_terms_num_installments", terms(num_installments="0")),
    Guard("terms from yesterday on", "ck_usual_terms_first_days", terms(first_days="-1")),
    Guard("terms with a deposit of all of it", "ck_usual_terms_deposit", terms(deposit_percent="100")),
    Guard("two terms of one name", "uq_usual_terms_merchant_id_name", terms() + ";" + terms()),
    Guard("a settled refund that awaits its release", "ck_refunds_awaits_release",
          a_refund(state="'succeeded'", settled_at="now()", awaits_release="true"), beside=("refunds_sum",)),
    Guard("a security event of no kind", "ck_security_events_kind", a_security_event(kind="'yawned'")),
    Guard("a security event by its own account", "ck_security_events_by", a_security_event(by_id=":omar")),
    Guard("a changed security event", "security_events_kept",
          "UPDATE security_events SET user_id = :amal, address = '', browser = ''"),
    Guard("a changed address of a security event", "security_events_kept",
          "UPDATE security_events SET address = '192.0.2.7'"),
    Guard("a deleted security event", "security_events_kept", "DELETE FROM security_events"),
    Guard("no security events", "security_events_kept", "TRUNCATE security_events",
          by="security_events_never_emptied"),
]  # fmt: skip
