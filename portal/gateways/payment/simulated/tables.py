"""Tables of the simulated gateway. No module outside its folder reads them."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, Index, String, Table, text

from portal.extensions import db

charges = Table(
    "gateway_charges",
    db.metadata,
    Column("key", String(64), primary_key=True),
    Column("amount", BigInteger),
    Column("currency", String(3)),
    Column("token", String(64)),
    Column("outcome", String(20), nullable=False),
    Column("decline_code", String(40)),
    Column("reference", String(64), nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("reversed_at", DateTime(timezone=True)),
    Column("reversed_amount", BigInteger),
    Column("told_at", DateTime(timezone=True)),
    Column(
        "wins_back", String(64), ForeignKey("gateway_charges.key", name="fk_gateway_charges_wins_back"), unique=True
    ),
    CheckConstraint("outcome IN ('charged', 'declined', 'closed')", name="outcome"),
    CheckConstraint("(outcome = 'charged') = (decline_code IS NULL)", name="decline_code"),
    CheckConstraint("reversed_at IS NULL OR outcome = 'charged'", name="reversed"),
    CheckConstraint("(reversed_at IS NULL) = (reversed_amount IS NULL)", name="reversed_amount"),
    CheckConstraint("told_at IS NULL OR reversed_at IS NOT NULL OR wins_back IS NOT NULL", name="told"),
    CheckConstraint("wins_back IS NULL OR (outcome = 'charged' AND reversed_at IS NULL)", name="wins_back"),
    Index(
        "ix_gateway_charges_bouncing_created_at",
        "created_at",
        postgresql_where=text(
            "token IN ('card_reversed_later', 'card_won_later') AND reversed_at IS NULL AND wins_back IS NULL"
        ),
    ),
    Index(
        "ix_gateway_charges_untold",
        text("coalesce(reversed_at, created_at)"),
        postgresql_where=text("told_at IS NULL AND (reversed_at IS NOT NULL OR wins_back IS NOT NULL)"),
    ),
    Index(
        "ix_gateway_charges_winning_reversed_at",
        "reversed_at",
        postgresql_where=text("token = 'card_won_later' AND reversed_at IS NOT NULL"),
    ),
)
"""Charges by key. `told_at` is the instant at which Qist acknowledged the reversal, or the won dispute.

A row that `wins_back` another is the money that the bank gave back of that reversed charge. It is never reversed.
"""

refunds = Table(
    "gateway_refunds",
    db.metadata,
    Column("key", String(64), primary_key=True),
    Column("charge_key", String(64)),
    Column("amount", BigInteger),
    Column("outcome", String(20), nullable=False),
    Column("decline_code", String(40)),
    Column("reference", String(64), nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("outcome IN ('refunded', 'declined', 'closed')", name="outcome"),
    CheckConstraint("(outcome = 'refunded') = (decline_code IS NULL)", name="decline_code"),
    Index("ix_gateway_refunds_charge_key", "charge_key"),
)
"""Refunds by key. The refunds of a charge never exceed the charge."""

cards = Table(
    "gateway_cards",
    db.metadata,
    Column("token", String(64), primary_key=True),
    Column("card", String(64), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
"""Saved cards by token."""
