"""Emails and usernames get keys by which they are compared, those that the version before writes as well.

The keys are made by Python (portal/domain/identifiers.py). The version before knows none, and it goes on serving until it is
replaced: for what it writes the database makes a key as near to Python's as it can. The release after this one has no
use for the trigger.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

FUNCTION = """
CREATE FUNCTION qist_users_keys() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    no_email_key boolean := NEW.email_key IS NULL;
    no_username_key boolean := NEW.username_key IS NULL;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        no_email_key := NEW.email IS DISTINCT FROM OLD.email AND NEW.email_key IS NOT DISTINCT FROM OLD.email_key;
        no_username_key := NEW.username IS DISTINCT FROM OLD.username
            AND NEW.username_key IS NOT DISTINCT FROM OLD.username_key;
    END IF;
    IF no_email_key THEN
        NEW.email_key := {key};
    END IF;
    IF no_username_key AND position('@' in NEW.username) > 0 AND lower(NEW.username) = lower(NEW.email) THEN
        NEW.username_key := NEW.email_key;
    ELSIF no_username_key THEN
        NEW.username_key := {username_key};
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.add_column("users", sa.Column("email_key", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("username_key", sa.Text(), nullable=True))
    op.execute(FUNCTION.format(key=_key("NEW.email"), username_key=_key("NEW.username")))
    op.execute(
        "CREATE TRIGGER users_keys BEFORE INSERT OR UPDATE OF email, username ON users "
        "FOR EACH ROW EXECUTE FUNCTION qist_users_keys()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER users_keys ON users")
    op.execute("DROP FUNCTION qist_users_keys()")
    op.drop_column("users", "username_key")
    op.drop_column("users", "email_key")


def _key(name: str) -> str:
    """Unicode's caseless matching came with PostgreSQL 18. Before it, "ß" is not "ss"."""
    version = op.get_bind().dialect.server_version_info
    folded = f"casefold({name} COLLATE pg_unicode_fast)" if version >= (18,) else f"lower({name} COLLATE pg_c_utf8)"
    return f"normalize({folded}, NFC)"
