"""Hang the API on the application."""

from typing import Final

from flask import Flask, Response, current_app, request

from portal.api import problems
from portal.api.endpoints import RowId
from portal.api.idempotency import HEADER
from portal.api.openapi import docs
from portal.api.resources import (
    accounts,
    analytics,
    installments,
    payment_methods,
    payments,
    plan_actions,
    plans,
    refunds,
    tokens,
)
from portal.config import JSON_PREFIXES
from portal.extensions import csrf

BLUEPRINTS: Final = (
    accounts.bp,
    tokens.bp,
    plans.bp,
    installments.bp,
    payments.bp,
    payment_methods.bp,
    refunds.bp,
    plan_actions.bp,
    analytics.bp,
    docs.bp,
)
for _blueprint in BLUEPRINTS:
    _blueprint.register_error_handler(Exception, problems.problem)
ALLOWED_HEADERS: Final = f"Authorization, Content-Type, {HEADER}, X-Request-Id"
SHOWN_HEADERS: Final = "Link, Location, Retry-After, Idempotent-Replayed, X-Request-Id"


def init_app(app: Flask) -> None:
    """Register the blueprints. No CSRF check stands before them, because no cookie counts behind them.

    `api_errors` is what the pages' error handlers call for an address of the API that no view was found for.
    """
    app.url_map.converters["row"] = RowId
    app.extensions["api_errors"] = problems.problem
    for blueprint in BLUEPRINTS:
        csrf.exempt(blueprint)
        app.register_blueprint(blueprint)
    app.after_request(_add_headers)


def _add_headers(answer: Response) -> Response:
    """What was answered is the caller's own; pages of the origins in CORS_ORIGINS may read it, without cookies."""
    if not f"{request.path}/".startswith(JSON_PREFIXES) or request.endpoint == "api_docs.show":
        return answer
    answer.headers.setdefault("Cache-Control", "no-store")
    if request.method == "OPTIONS":
        answer.headers.pop("Content-Type", None)  # of a body that is empty
    origins = current_app.config["QIST"].cors_origins
    if not origins:
        return answer
    answer.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin not in origins:
        return answer
    answer.headers["Access-Control-Allow-Origin"] = origin
    answer.headers["Access-Control-Expose-Headers"] = SHOWN_HEADERS
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        answer.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE, OPTIONS"
        answer.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        answer.headers["Access-Control-Max-Age"] = "600"
    return answer
