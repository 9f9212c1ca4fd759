"""Registration of the API with the application."""

from http import HTTPStatus
from typing import Final

from flask import Flask, Response, current_app, request

from portal.api import problems
from portal.api.endpoints import RowId
from portal.api.idempotency import HEADER
from portal.api.openapi import docs
from portal.api.resources import (
    accounts,
    agreements,
    analytics,
    books,
    closings,
    contacts,
    events,
    installments,
    merchants,
    payment_methods,
    payments,
    plan_actions,
    plan_drafts,
    plan_invitations,
    plans,
    profiles,
    refunds,
    reminders,
    shops,
    statements,
    tokens,
    webhook_endpoints,
)
from portal.config import JSON_PREFIXES
from portal.web_extensions import csrf

BLUEPRINTS: Final = (
    accounts.bp,
    tokens.bp,
    merchants.bp,
    contacts.bp,
    profiles.bp,
    closings.bp,
    plans.bp,
    plan_drafts.bp,
    installments.bp,
    payments.bp,
    payment_methods.bp,
    refunds.bp,
    plan_actions.bp,
    agreements.bp,
    shops.bp,
    plan_invitations.bp,
    reminders.bp,
    statements.bp,
    analytics.bp,
    books.bp,
    events.bp,
    webhook_endpoints.bp,
    docs.bp,
)
for _blueprint in BLUEPRINTS:
    _blueprint.register_error_handler(Exception, problems.problem)
ALLOWED_HEADERS: Final = f"Authorization, Content-Type, {HEADER}, X-Request-Id"
EXPOSED_HEADERS: Final = (
    "Link, Location, Retry-After, Idempotent-Replayed, X-Request-Id, X-Total-Count, RateLimit, RateLimit-Policy"
)


def init_app(app: Flask) -> None:
    """Register the blueprints. They need no CSRF check, because the API ignores cookies.

    The pages' error handlers call the extension `api_errors` for an address of the API without a view.
    """
    app.url_map.converters["row"] = RowId
    app.extensions["api_errors"] = problems.problem
    for blueprint in BLUEPRINTS:
        csrf.exempt(blueprint)
        app.register_blueprint(blueprint)
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    """Forbid caching of API responses, and allow the origins in CORS_ORIGINS to read them without cookies."""
    if not f"{request.path}/".startswith(JSON_PREFIXES) or request.endpoint == "api_docs.show":
        return response
    response.headers.setdefault("Cache-Control", "no-store")
    if response.status_code == HTTPStatus.NO_CONTENT:
        response.headers.pop("Content-Type", None)
    if request.method == "OPTIONS":
        response.headers.pop("Content-Type", None)  # the body is empty
        if request.endpoint is not None:
            response.allow.update(problems.allowed_methods())
    origins = current_app.config["QIST"].cors_origins
    if not origins:
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin not in origins:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = "600"
    return response
