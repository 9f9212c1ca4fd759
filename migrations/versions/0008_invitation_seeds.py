"""An invitation's token can be told again: it is derived from a random seed.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("invitations", sa.Column("seed", sa.LargeBinary(), nullable=True))
    # Links made before go on working, but can't be told again: the next mail about their plan brings a new one.
    op.execute("UPDATE invitations SET seed = uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())")
    op.alter_column("invitations", "seed", nullable=False)
    op.create_check_constraint(op.f("ck_invitations_seed"), "invitations", "octet_length(seed) = 32")


def downgrade() -> None:
    op.drop_column("invitations", "seed")
