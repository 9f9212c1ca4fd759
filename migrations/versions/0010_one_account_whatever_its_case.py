"""Emails and usernames are compared by keys that Python makes, and a charge that ended without an answer says so.

The database's lower() knows the letters of one locale, or none: "ΝΙΚΟΣ@example.com" and "νικος@example.com" were two.

Revision ID: 0010
Revises: 0009
"""

import logging
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

log = logging.getLogger("alembic.runtime.migration")

ASCII = "{0} ~ '[^ -~]' OR {0}_key = lower({0} COLLATE \"C\")"


def upgrade() -> None:
    op.add_column("payments", sa.Column("unanswered_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("users", sa.Column("email_key", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("username_key", sa.Text(), nullable=True))
    op.execute('UPDATE users SET email_key = lower(email COLLATE "C"), username_key = lower(username COLLATE "C")')
    _fold("email")
    _fold("username")
    op.execute("UPDATE users SET username_key = email_key WHERE position('@' in username) > 0")
    op.alter_column("users", "email_key", nullable=False)
    op.drop_constraint(op.f("ck_users_username_is_no_other_email"), "users")
    op.create_check_constraint(
        op.f("ck_users_username_is_no_other_email"),
        "users",
        "position('@' in username) = 0 OR username_key = email_key",
    )
    op.create_check_constraint(op.f("ck_users_email_key"), "users", ASCII.format("email"))
    op.create_check_constraint(
        op.f("ck_users_username_key"),
        "users",
        f"(username IS NULL) = (username_key IS NULL) AND ({ASCII.format('username')})",
    )
    for column in ("email", "username"):
        op.drop_index(f"ix_users_{column}_lower_prefix", "users")
        op.drop_index(f"uq_users_{column}_lower", "users")
        op.create_index(f"uq_users_{column}_key", "users", [f"{column}_key"], unique=True)
        op.create_index(
            f"ix_users_{column}_key_prefix",
            "users",
            [f"{column}_key"],
            postgresql_ops={f"{column}_key": "text_pattern_ops"},
        )


def downgrade() -> None:
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
        op.drop_column("users", f"{column}_key")
    op.drop_column("payments", "unanswered_at")


def _fold(column: str) -> None:
    """Keys of what is not plain ASCII. Of several accounts that are one by their key, one has it, and each of the others
    is left under what it is called to the letter; they are named in the log, for somebody to look at."""
    users = sa.table("users", sa.column("id"), sa.column(column), sa.column(f"{column}_key"))
    name, key = users.c[column], users.c[f"{column}_key"]
    connection = op.get_bind()
    found = connection.execute(sa.select(users.c.id, name).where(name.op("~")("[^ -~]"))).all()
    rows = [(row_id, text, unicodedata.normalize("NFC", text.casefold())) for row_id, text in found]
    rows.sort(key=lambda row: (row[1] != row[2], row[0]))
    taken = set(connection.execute(sa.select(key).where(name.op("!~")("[^ -~]"))).scalars())
    for row_id, text, folded in rows:
        if folded in taken:
            log.warning("User %s has the same %s as another account, but for its case.", row_id, column)
        connection.execute(
            sa.update(users).where(users.c.id == row_id).values({key.name: text if folded in taken else folded})
        )
        taken.add(folded)
