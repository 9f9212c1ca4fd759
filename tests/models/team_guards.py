"""Guards of teams and of erasures, with raw SQL that each refuses."""
# ruff: noqa: S608 (SQL from constants)

from tests.models.guard_inserts import Guard, a_mail, a_membership, a_team_invitation, an_api_key, insert

OWNER_IS_CUSTOMER = "plans_two_parties"


def an_erasure() -> str:
    return insert("erasures", {"user_id": ":omar", "created_at": "now()", "erased_at": "now()"})


TEAM_GUARDS = [
    Guard("a customer with an open plan joins as an owner", OWNER_IS_CUSTOMER, a_membership(role="'owner'"),
          by="plans_two_parties_members"),
    Guard("a member with an open plan becomes an owner", OWNER_IS_CUSTOMER,
          a_membership() + ";UPDATE memberships SET role = 'owner' WHERE user_id = :omar",
          by="plans_two_parties_members"),
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
    Guard("two erasures of one account", "pk_erasures", an_erasure() + ";" + an_erasure()),
    Guard("a mail to nobody", "ck_emails_one_recipient", a_mail(to_user_id="NULL")),
    Guard("a mail to a user and elsewhere", "ck_emails_one_recipient", a_mail(to_address="'x@example.com'")),
    Guard("a refund by another key", "refunds_fixed",
          an_api_key() + ";UPDATE refunds SET api_key_id = (SELECT max(id) FROM api_keys) WHERE id = :refund"),
]  # fmt: skip
