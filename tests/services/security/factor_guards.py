"""Statements that break the constraints of second factors."""

from tests.models.guard_inserts import Guard

A_STEP = (
    "INSERT INTO sign_in_steps (user_id, token_hash, wrong_codes, created_at, expires_at) "
    "VALUES (:omar, {hash}, {wrong}, now(), now() + interval '{minutes} minutes')"
)


def a_step(hash: str = "sha256('a')", wrong: int = 0, minutes: int = 10) -> str:
    return A_STEP.format(hash=hash, wrong=wrong, minutes=minutes)


A_PASSKEY = (
    "INSERT INTO passkeys (user_id, credential_id, public_key, sign_count, name, created_at) "
    "VALUES (:omar, {credential}, 'x', {count}, {name}, now())"
)
A_CHALLENGE = (
    "INSERT INTO passkey_challenges (purpose, user_id, browser_hash, challenge, created_at, expires_at) "
    "VALUES ({purpose}, {user}, {browser}, {challenge}, now(), now() + interval '{minutes} minutes')"
)


def a_passkey(credential: str = "'c'", count: int = 0, name: str = "'Phone'") -> str:
    return A_PASSKEY.format(credential=credential, count=count, name=name)


def a_challenge(
    purpose: str = "'add'",
    user: str = ":omar",
    browser: str = "sha256('b')",
    challenge: str = "sha256('c')",
    minutes: int = 5,
) -> str:
    return A_CHALLENGE.format(purpose=purpose, user=user, browser=browser, challenge=challenge, minutes=minutes)


A_REMOVAL = (
    "INSERT INTO factor_removals (user_id, token_hash, created_at, due_at) "
    "VALUES ({user}, {hash}, now(), now() + interval '{hours} hours')"
)


def a_removal(user: str = ":omar", hash: str = "sha256('a')", hours: int = 24) -> str:
    return A_REMOVAL.format(user=user, hash=hash, hours=hours)


A_FORM = (
    "INSERT INTO kept_forms (user_id, token_hash, sealed, created_at, expires_at) "
    "VALUES (:omar, {hash}, 'x', now(), now() + interval '{minutes} minutes')"
)


def a_form(hash: str = "sha256('a')", minutes: int = 15) -> str:
    return A_FORM.format(hash=hash, minutes=minutes)


A_CODE = (
    "INSERT INTO sign_in_codes (user_id, browser_hash, asked_from, wrong_codes, created_at, expires_at) "
    "VALUES (:omar, {hash}, '', {wrong}, now(), now() + interval '{minutes} minutes')"
)


def a_code(hash: str = "sha256('a')", wrong: int = 0, minutes: int = 15) -> str:
    return A_CODE.format(hash=hash, wrong=wrong, minutes=minutes)


FACTOR_GUARDS = [
    Guard("a mailed code under half a hash", "ck_sign_in_codes_digests", a_code(hash="'x'")),
    Guard("a mailed code that lapsed before it was made", "ck_sign_in_codes_expires", a_code(minutes=-1)),
    Guard("six wrong tries of a mailed code", "ck_sign_in_codes_wrong_codes", a_code(wrong=6)),
    Guard("a form that lapsed before it was kept", "ck_kept_forms_expires", a_form(minutes=-1)),
    Guard("a form under half a hash", "ck_kept_forms_token_hash", a_form(hash="'x'")),
    Guard("two forms under one token", "uq_kept_forms_token_hash", a_form() + ";" + a_form()),
    Guard("a removal that was due before it was asked for", "ck_factor_removals_due", a_removal(hours=-1)),
    Guard("a removal under half a hash", "ck_factor_removals_token_hash", a_removal(hash="'x'")),
    Guard("two removals under one token", "uq_factor_removals_token_hash",
          a_removal() + ";" + a_removal(user=":amal")),
    Guard("two open removals of an account", "uq_factor_removals_open_user_id",
          a_removal() + ";" + a_removal(hash="sha256('b')")),
    Guard("a passkey twice", "uq_passkeys_credential_id", a_passkey() + ";" + a_passkey()),
    Guard("a passkey without an id", "ck_passkeys_credential_id", a_passkey(credential="''")),
    Guard("a passkey without a name", "ck_passkeys_named", a_passkey(name="''")),
    Guard("a counter under zero", "ck_passkeys_sign_count", a_passkey(count=-1)),
    Guard("a challenge under half a hash", "ck_passkey_challenges_browser_hash", a_challenge(browser="'x'")),
    Guard("a short challenge", "ck_passkey_challenges_challenge", a_challenge(challenge="'x'")),
    Guard("a challenge that lapsed before it began", "ck_passkey_challenges_expires", a_challenge(minutes=-1)),
    Guard("a challenge for nothing", "ck_passkey_challenges_purpose", a_challenge(purpose="'other'")),
    Guard("a sign-in by name without its account", "ck_passkey_challenges_user", a_challenge(user="NULL")),
    Guard("two challenges of a browser", "uq_passkey_challenges_browser_hash_purpose",
          a_challenge() + ";" + a_challenge()),
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
