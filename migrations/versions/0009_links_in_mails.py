"""An index on the mails whose text still holds a link: they are looked for every hour, among all that were kept.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

HOLDING = "ix_outbox_holding_link_ended_at"


def upgrade() -> None:
    op.create_index(
        HOLDING, "outbox", ["ended_at"], postgresql_where=sa.text("state = 'kept' AND data ? 'holds_link'")
    )


def downgrade() -> None:
    op.drop_index(HOLDING, "outbox")
