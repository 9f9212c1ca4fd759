"""Accounts made before get their keys: those of plain letters right away.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

from migrations import steps

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        steps.fill(
            "users",
            'email_key = coalesce(email_key, lower(email COLLATE "C")), '
            'username_key = coalesce(username_key, lower(username COLLATE "C"))',
            where="email_key IS NULL OR (username_key IS NULL) <> (username IS NULL)",
        )


def downgrade() -> None:
    pass
