"""Schemas of a plan's links and of the correction of its email."""

from typing import Annotated

from msgspec import Meta

from portal.api.schemas.kinds import EmailText, In, Instant, Out
from portal.models import Email, Invitation
from portal.models.plans.invitations import LinkKind
from portal.services.plans.invitations import LinkRenewed, LinkRevoked

Kind = Annotated[
    LinkKind,
    Meta(description="pay: for you to pass on, it shows the plan and takes payments. customer: in mails only."),
]


class LinkChoice(In, kw_only=True):
    """One of the two links of a plan."""

    kind: Kind


class Link(Out, kw_only=True):
    """The newest link of a kind. The customer's link itself is in no answer: only the mailbox has it."""

    kind: Kind
    works: Annotated[bool, Meta(description="It opens the plan now.")]
    url: Annotated[str | None, Meta(description="The address of a pay link that works.")]
    created_at: Instant
    expires_at: Instant
    mailed_at: Annotated[Instant | None, Meta(description="When the customer's link was mailed.")]
    opened_at: Annotated[Instant | None, Meta(description="When the customer's link was first opened.")]


class RenewedLink(Out, kw_only=True):
    """A new link took the place of the one before. The list of links shows the address of a pay link."""

    kind: Kind
    created_at: Instant
    expires_at: Instant


class RevokedLink(Out, kw_only=True):
    """The plan has no link of this kind that works."""

    kind: Kind


class CustomerEmail(In, kw_only=True):
    """The right email of a plan that was made for a wrong one."""

    customer_email: EmailText


def link(row: Invitation, *, works: bool, url: str | None, mail: Email | None) -> Link:
    """The schema of a link. `mail` is the mail that brought it."""
    mailed_at = mail.ended_at if mail is not None and mail.state in ("sent", "kept") else None
    return Link(
        kind=row.kind,
        works=works,
        url=url,
        created_at=row.created_at,
        expires_at=row.expires_at,
        mailed_at=mailed_at,
        opened_at=row.opened_at,
    )


def renewed_link(result: LinkRenewed) -> RenewedLink:
    """The schema of a renewal."""
    return RenewedLink(kind=result.kind, created_at=result.created_at, expires_at=result.expires_at)


def revoked_link(result: LinkRevoked) -> RevokedLink:
    """The schema of a revocation."""
    return RevokedLink(kind=result.kind)
