"""Emails and usernames are compared by keys that Python makes.

The database's lower() knows the letters of one locale, or none: "ΝΙΚΟΣ@example.com" and "νικος@example.com" were two.

Revision ID: 0013
Revises: 0012
"""

import logging
import unicodedata

import sqlalchemy as sa
from alembic import op

from migrations import steps

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

log = logging.getLogger("alembic.runtime.migration")

ASCII = "{0} ~ '[^ -~]' OR {0}_key = lower({0} COLLATE \"C\")"
NAMED_BY_EMAIL = "position('@' in username) > 0"
EMAIL = f"email_key = new.key, username_key = CASE WHEN {NAMED_BY_EMAIL} THEN new.key ELSE username_key END"
USERNAME = "username_key = new.key"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _fold("email", EMAIL, "NULL")
        _fold("username", USERNAME, f"CASE WHEN {NAMED_BY_EMAIL} THEN email_key END")
        for column in ("email", "username"):
            steps.index(f"uq_users_{column}_key", "users", f"({column}_key)", unique=True)
            steps.index(f"ix_users_{column}_key_prefix", "users", f"({column}_key text_pattern_ops)")
        steps.check(
            "users",
            "ck_users_username_is_no_other_email",
            "position('@' in username) = 0 OR username_key = email_key",
        )
        steps.check("users", "ck_users_email_key", ASCII.format("email"))
        steps.check(
            "users",
            "ck_users_username_key",
            f"(username IS NULL) = (username_key IS NULL) AND ({ASCII.format('username')})",
        )
        steps.not_null("users", "email_key")
        for column in ("email", "username"):
            steps.drop_index(f"ix_users_{column}_lower_prefix")
            steps.drop_index(f"uq_users_{column}_lower")


def downgrade() -> None:
    op.alter_column("users", "email_key", nullable=True)
    op.drop_constraint(op.f("ck_users_username_key"), "users")
    op.drop_constraint(op.f("ck_users_email_key"), "users")
    op.drop_constraint(op.f("ck_users_username_is_no_other_email"), "users")
    # Not of rows made meanwhile: this lower() may not know that two spellings are the same.
    op.execute(
        "ALTER TABLE users ADD CONSTRAINT ck_users_username_is_no_other_email "
        "CHECK (position('@' in username) = 0 OR lower(username) = lower(email)) NOT VALID"
    )
    for column in ("email", "username"):
        op.create_index(f"uq_users_{column}_lower", "users", [sa.literal_column(f"lower({column})")], unique=True)
        op.create_index(
            f"ix_users_{column}_lower_prefix",
            "users",
            [sa.literal_column(f"lower({column})").label(f"{column}_lower")],
            postgresql_ops={f"{column}_lower": "text_pattern_ops"},
        )
        op.drop_index(f"ix_users_{column}_key_prefix", "users")
        op.drop_index(f"uq_users_{column}_key", "users")


def _fold(column: str, change: str, given: str) -> None:
    """Keys of what is not plain ASCII. Of several accounts that are one by their key, one has it, and each of the others
    is left under what it is called to the letter; they are named in the log, for somebody to look at.

    `given` is a key that is not to be made but is another column's."""
    bind = op.get_bind()
    found = bind.execute(
        sa.text(f"SELECT id, {column}, {column}_key, {given} AS given FROM users WHERE {column} ~ '[^ -~]'")
    )
    rows = [(*row, unicodedata.normalize("NFC", row[1].casefold())) for row in found]
    rows.sort(key=lambda row: (row[1] != row[4], row[0]))
    plain = sa.text(f"SELECT {column}_key FROM users WHERE {column} !~ '[^ -~]' AND {column}_key = ANY (:keys)")
    taken = set(bind.scalars(plain, {"keys": [row[4] for row in rows if row[4].isascii()]}))
    apart, folded = [], []
    for row_id, name, before, given_key, key in rows:
        wanted = given_key or (name if key in taken else key)
        taken.add(key)
        if wanted != key:
            log.warning("User %s has the same %s as another account, but for its case.", row_id, column)
        if wanted != before:
            (folded if wanted == key else apart).append((row_id, name, wanted))
    some = sa.text(
        f"UPDATE users SET {change} "
        "FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[]), CAST(:keys AS text[])) AS new (id, name, key) "
        f"WHERE users.id = new.id AND users.{column} = new.name"
    )
    for changes in (apart, folded):
        for start in range(0, len(changes), steps.BATCH):
            ids, names, keys = zip(*changes[start : start + steps.BATCH], strict=True)
            bind.execute(some, {"ids": list(ids), "names": list(names), "keys": list(keys)})
