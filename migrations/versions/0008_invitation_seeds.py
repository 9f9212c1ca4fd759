"""An invitation's token can be told again: it is derived from a random seed.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

from migrations import steps

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

RANDOM = "uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE invitations ADD COLUMN IF NOT EXISTS seed bytea")
        # The version before makes links as well, until it is replaced. They work like those made before: they can't be
        # told again, so the next mail about their plan brings a new one.
        op.execute(f"ALTER TABLE invitations ALTER COLUMN seed SET DEFAULT ({RANDOM})")
        steps.fill("invitations", f"seed = {RANDOM}", where="seed IS NULL")
        steps.check("invitations", "ck_invitations_seed", "octet_length(seed) = 32")
        steps.not_null("invitations", "seed")
        steps.index("ix_invitations_plan_id_id", "invitations", "(plan_id, id)")


def downgrade() -> None:
    op.drop_index("ix_invitations_plan_id_id", "invitations")
    op.drop_column("invitations", "seed")
