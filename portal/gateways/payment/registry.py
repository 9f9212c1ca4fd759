"""The payment gateways by the name in PAYMENT_GATEWAY, and the active one of an application."""

from collections.abc import Callable, Mapping
from typing import Final, cast

import structlog
from flask import Flask, current_app

from portal.config import Settings
from portal.gateways.payment.protocol import PaymentGateway
from portal.gateways.payment.simulated.gateway import SimulatedGateway

log = structlog.get_logger(__name__)

GATEWAYS: Final[Mapping[str, Callable[[Settings], PaymentGateway]]] = {"simulated": SimulatedGateway}
"""By the names of `portal.config.PAYMENT_GATEWAYS`. A gateway reads its own settings."""
EXTENSION: Final = "payment_gateway"


def init_app(app: Flask, settings: Settings) -> None:
    """Make the gateway that the settings name the application's. In production, log a warning if it is simulated."""
    gateway = GATEWAYS[settings.payment_gateway](settings)
    install(app, gateway)
    if settings.production and gateway.is_simulated:
        log.warning("gateway.simulated", gateway=settings.payment_gateway, meaning="no money moves")


def install(app: Flask, gateway: PaymentGateway) -> None:
    """Make this gateway the application's."""
    app.extensions[EXTENSION] = gateway


def active() -> PaymentGateway:
    """The gateway of the current application. Requires an app context."""
    return cast(PaymentGateway, current_app.extensions[EXTENSION])
