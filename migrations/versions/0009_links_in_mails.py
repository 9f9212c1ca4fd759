"""No mail that has ended holds its link's token, and an index finds those whose text still does.

The version before wrote the token of an invitation's link into the mail's facts and took it out when the mail was sent.
Mails that wait keep it: either version can send them, and the version before could not do it without. Those that were
given up get what they are sent by from now on, the invitation itself.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

from migrations import steps

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

HOLDING = "ix_outbox_holding_link_ended_at"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        steps.fill(
            "outbox",
            "data = (data - 'token') || coalesce((SELECT jsonb_build_object('invitation_id', invitations.id) "
            "FROM invitations WHERE token_hash = sha256(convert_to(data ->> 'token', 'UTF8'))), '{}')",
            where="data ? 'token' AND ended_at IS NOT NULL",
        )
        steps.index(HOLDING, "outbox", "(ended_at) WHERE state = 'kept' AND data ? 'holds_link'")


def downgrade() -> None:
    op.drop_index(HOLDING, "outbox")
