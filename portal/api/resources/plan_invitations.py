"""The links of a plan, and the correction of its email, for the plan's merchant."""

from flask import Blueprint, Response, current_app
from spectree.models import Tag

from portal import access
from portal.api import idempotency, parsing, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint, list_headers
from portal.errors import Fault
from portal.models import Plan
from portal.reports.plans import links
from portal.reports.tallies import Count
from portal.services.accounts import accounts
from portal.services.plans import customer_emails, invitations

bp = Blueprint("api_invitations", __name__)
TAG = Tag("Links", "The links of a plan whose customer has no account, and its email.")


@endpoint(
    bp,
    "GET",
    "/api/plans/<row:plan_id>/invitations/",
    ok={200: list[schemas.Link]},
    tag=TAG,
    needs="invite",
    forbidden="change_plan",
)
def index(plan_id: int, query: schemas.ListQuery) -> tuple[list[schemas.Link], int, dict[str, str]]:
    """The links of a plan

    The newest pay link and the newest link of the customer; none for a customer with an account. The answer has the
    address of the pay link. The customer's link is in their mails only.
    """
    answer = _links(access.our_plan(caller().actor, plan_id))
    return answer, 200, list_headers(query, lambda: Count(len(answer)), None)


def _links(plan: Plan) -> list[schemas.Link]:
    if plan.customer.is_claimed:
        return []
    newest = links.links_of(plan)
    base: str = current_app.config["QIST"].public_url
    answer = []
    if newest.pay is not None:
        works = links.works(newest.pay)
        token = invitations.token_of(newest.pay) if works else None
        url = f"{base}/invitations/{token}" if token is not None else None
        answer.append(schemas.link(newest.pay, works=works, url=url, mail=None))
    if newest.customer is not None:
        works = links.works(newest.customer)
        answer.append(schemas.link(newest.customer, works=works, url=None, mail=newest.mail))
    return answer


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/invitations/",
    ok={201: schemas.RenewedLink},
    tag=TAG,
    needs="invite",
    writes=True,
    forbidden="change_plan",
    refuses={
        409: ("already_claimed", "disputed", "erased", "shop_reported", "still_running"),
        422: ("mail_limit", "plan_limit"),
    },
)
def create(plan_id: int, json: schemas.LinkChoice) -> Response:
    """Renew a link

    A new link takes the place of the one before, which stops working. A new link of the customer is mailed to them.
    """
    access.our_plan(caller().actor, plan_id)
    key = idempotency.request_key(json)
    renew = invitations.renew_pay_link if json.kind == "pay" else invitations.mail_again
    result = renew(plan_id, actor=caller().actor, request_key=key)
    return idempotency.answer(result, 201, schemas.renewed_link(result), f"/api/plans/{plan_id}/invitations/")


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/invitations/revoke/",
    ok={200: schemas.RevokedLink},
    tag=TAG,
    needs="invite",
    writes=True,
    forbidden="change_plan",
    refuses={409: ("still_running",)},
)
def revoke(plan_id: int, json: schemas.LinkChoice) -> Response:
    """Revoke a link

    The link stops working. The customer can still register with their email.
    """
    access.our_plan(caller().actor, plan_id)
    key = idempotency.request_key(json)
    result = invitations.revoke(plan_id, json.kind, actor=caller().actor, request_key=key)
    return idempotency.answer(result, 200, schemas.revoked_link(result))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/customer-email/",
    ok={200: schemas.Plan},
    tag=TAG,
    needs="create_plans",
    writes=True,
    forbidden="change_plan",
    refuses={
        409: ("email_fixed", "payment_in_flight", "refund_in_flight", "still_running"),
        422: ("blocked", "mail_limit", "not_a_customer", "plan_limit", "same_email"),
    },
)
def correct_email(plan_id: int, json: schemas.CustomerEmail) -> Response:
    """Correct the email of a plan

    While nothing was paid or tried and nothing accepted, the plan moves to the person of the right email. The links of
    the former one end, and so does their dispute; both addresses are told. Answers the plan.
    """
    access.our_plan(caller().actor, plan_id)
    key = idempotency.request_key(json)
    result = customer_emails.correct(plan_id, json.customer_email, actor=caller().actor, request_key=key)
    return idempotency.answer(result, 200, schemas.plan(result.plan))


@parsing.further_faults(schemas.CustomerEmail)
def _email_faults(values: parsing.Values) -> list[Fault]:
    email = values.get("customer_email")
    return accounts.email_faults(email, "customer_email") if email is not None else []
