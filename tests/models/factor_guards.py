"""Statements that break the constraints of second factors."""

from tests.models.guard_inserts import Guard

A_STEP = (
    "INSERT INTO sign_in_steps (user_id, token_hash, wrong_codes, created_at, expires_at) "
    "VALUES (:omar, {hash}, {wrong}, now(), now() + interval '{minutes} minutes')"
)


def a_step(hash: str = "sha256('a')", wrong: int = 0, minutes: int = 10) -> str:
    return A_STEP.format(hash=hash, wrong=wrong, minutes=minutes)


FACTOR_GUARDS = [
    Guard("an app that is on without a used step", "ck_totp_secrets_confirmed",
          "INSERT INTO totp_secrets (user_id, sealed, created_at, confirmed_at) VALUES (:omar, 'x', now(), now())"),
    Guard("two apps of an account", "pk_totp_secrets",
          "INSERT INTO totp_secrets (user_id, sealed, created_at) VALUES (:omar, 'x', now()), (:omar, 'y', now())"),
    Guard("a recovery code under half a hash", "ck_recovery_codes_code_hash",
          "INSERT INTO recovery_codes (user_id, code_hash, created_at) VALUES (:omar, 'x', now())"),
    Guard("a recovery code twice", "uq_recovery_codes_user_id_code_hash",
          "INSERT INTO recovery_codes (user_id, code_hash, created_at) VALUES (:omar, sha256('a'), now()), "
          "(:omar, sha256('a'), now())"),
    Guard("a sign-in under half a hash", "ck_sign_in_steps_token_hash", a_step(hash="'x'")),
    Guard("two sign-ins under one token", "uq_sign_in_steps_token_hash", a_step() + ";" + a_step()),
    Guard("a sign-in that lapsed before it began", "ck_sign_in_steps_expires", a_step(minutes=-1)),
    Guard("six wrong codes in a sign-in", "ck_sign_in_steps_wrong_codes", a_step(wrong=6)),
]  # fmt: skip
