"""Security events: sign-ins and changes of what an account or a business is signed in with."""

from typing import Any, Final, Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, Enum, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant

SecurityKind = Literal[
    "signed_in",
    "sign_in_failed",
    "signed_out",
    "session_ended",
    "sessions_ended",
    "password_confirmed",
    "password_changed",
    "password_reset_asked",
    "password_reset",
    "email_proven",
    "record_claimed",
    "email_changed",
    "email_change_undone",
    "key_made",
    "key_revoked",
    "token_made",
    "token_reused",
    "token_revoked",
    "member_invited",
    "invitation_revoked",
    "member_joined",
    "member_changed",
    "member_removed",
    "member_left",
    "account_deactivated",
    "account_reactivated",
    "factor_added",
    "factor_removed",
    "factor_failed",
    "recovery_codes_made",
    "recovery_code_used",
    "factor_removal_asked",
    "factor_removal_stopped",
    "sign_in_refused",
    "sign_ins_limited",
    "sign_in_code_mailed",
    "books_closed",
    "account_renamed",
    "webhook_made",
    "webhook_changed",
    "webhook_rotated",
]
SECURITY_KINDS: Final[tuple[SecurityKind, ...]] = get_args(SecurityKind)


class SecurityEvent(Model):
    """One event: what happened to which account or business, who did it, and from where.

    `user_id` is the account that the event is about (None: a sign-in with a name that no account has). `by_id` is the
    person who acted, if that is another one; of the command line both are about nobody else. `address` and `browser`
    are those of the person who acted; both are empty for the command line and for jobs, and once they are erased.
    `facts` holds ids and codes. The ids are no foreign keys, because an event outlives a registration that is removed.

    The guard `security_events_kept` permits inserts, the erasure of address and browser, and deletion after 30 days.
    """

    __tablename__ = "security_events"

    id: Mapped[Id]
    kind: Mapped[SecurityKind] = mapped_column(
        Enum(*SECURITY_KINDS, name="kind", native_enum=False, create_constraint=True, length=30)
    )
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    by_id: Mapped[int | None] = mapped_column(BigInteger)
    merchant_id: Mapped[int | None] = mapped_column(BigInteger)
    address: Mapped[str] = mapped_column(String(45))
    browser: Mapped[str] = mapped_column(String(60))
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default=text("'{}'::jsonb"))
    created_at: Mapped[Instant]

    user: Mapped[User | None] = relationship(
        primaryjoin=lambda: foreign(SecurityEvent.user_id) == User.id, viewonly=True
    )
    by: Mapped[User | None] = relationship(primaryjoin=lambda: foreign(SecurityEvent.by_id) == User.id, viewonly=True)

    __table_args__ = (
        CheckConstraint("by_id <> user_id", name="by"),
        Index("ix_security_events_by_id_id", "by_id", "id", postgresql_where=text("by_id IS NOT NULL")),
        Index("ix_security_events_created_at", "created_at"),
        Index(
            "ix_security_events_merchant_id_id", "merchant_id", "id", postgresql_where=text("merchant_id IS NOT NULL")
        ),
        Index("ix_security_events_user_id_id", "user_id", "id", postgresql_where=text("user_id IS NOT NULL")),
    )
