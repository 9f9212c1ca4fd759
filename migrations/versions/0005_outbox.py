"""The outbox of mails, and links for people who forgot their password.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PENDING = "state IN ('waiting', 'claimed')"


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("dedupe_key", sa.String(length=150), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("to_user_id", sa.BigInteger(), nullable=False),
        sa.Column("merchant_id", sa.BigInteger(), nullable=True),
        sa.Column("plan_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "state",
            sa.Enum(
                "waiting", "claimed", "sent", "kept", "dead", "dropped",
                name="state", native_enum=False, create_constraint=True,
            ),
            nullable=False,
        ),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(length=300), nullable=True),
        sa.Column("message_id", sa.String(length=300), nullable=True),
        sa.Column("subject", sa.String(length=300), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("html", sa.Text(), nullable=True),
        sa.CheckConstraint("dedupe_key ~ '^[A-Za-z0-9_:-]+$'", name=op.f("ck_outbox_dedupe_key")),
        sa.CheckConstraint(f"({PENDING}) = (ended_at IS NULL)", name=op.f("ck_outbox_ended")),
        sa.CheckConstraint(
            "state NOT IN ('sent', 'kept') OR (message_id IS NOT NULL AND subject IS NOT NULL)",
            name=op.f("ck_outbox_told"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('dead', 'dropped') OR last_error IS NOT NULL", name=op.f("ck_outbox_reason")
        ),
        sa.CheckConstraint("attempts >= 0 AND jsonb_typeof(data) = 'object'", name=op.f("ck_outbox_data")),
        sa.ForeignKeyConstraint(["to_user_id"], ["users.id"], name=op.f("fk_outbox_to_user_id")),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.user_id"], name=op.f("fk_outbox_merchant_id")),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_outbox_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_outbox_dedupe_key")),
    )
    op.create_index(
        "ix_outbox_pending_next_try_at", "outbox", ["next_try_at", "id"], postgresql_where=sa.text(PENDING)
    )
    op.create_index("ix_outbox_pending_created_at", "outbox", ["created_at"], postgresql_where=sa.text(PENDING))
    op.create_index("ix_outbox_dead_id", "outbox", ["id"], postgresql_where=sa.text("state = 'dead'"))
    op.create_index("ix_outbox_ended_at", "outbox", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))
    op.create_table(
        "password_resets",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("octet_length(token_hash) = 32", name=op.f("ck_password_resets_token_hash")),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_password_resets_expires")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_password_resets_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_resets")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_password_resets_token_hash")),
    )
    op.create_index(
        "uq_password_resets_live_user_id",
        "password_resets",
        ["user_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_password_resets_expires_at", "password_resets", ["expires_at"])


def downgrade() -> None:
    op.drop_table("password_resets")
    op.drop_table("outbox")
