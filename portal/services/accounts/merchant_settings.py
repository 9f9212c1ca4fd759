"""The settings of a business: its name, home currency, time zone, grace days and withdrawal days."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from portal.domain import clock, money, typed_text
from portal.domain.permissions import Actor
from portal.domain.schedule import MAX_GRACE_DAYS, MAX_WITHDRAWAL_DAYS
from portal.errors import Fault, Invalid, NotFound
from portal.extensions import db
from portal.models import ApiKey, Membership, Merchant, OperatorAct
from portal.services.accounts import hats, operators
from portal.services.text_faults import text_faults
from portal.services.unit_of_work import violated

MAX_RENAMES: Final = 5
"""Changes of a business's name in 24 hours: each may be mailed to operators."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings as typed. Zone (IANA), grace days and withdrawal days count for plans made afterwards.

    `withdrawal_days` of None leaves them as they are.
    """

    business_name: str
    time_zone: str
    grace_days: int
    home_currency: str
    withdrawal_days: int | None = None


def lock(actor: Actor) -> Merchant:
    """Inside a unit of work: the business of the actor, locked. Refuses: forbidden; not_found."""
    merchant = db.session.get(Merchant, actor.business("settings"), with_for_update={"key_share": True})
    if merchant is None:
        raise NotFound()
    hats.confirm(actor, "settings")
    return merchant


def apply(merchant: Merchant, settings: Settings, actor: Actor, *, others: tuple[Fault, ...] = ()) -> None:
    """Inside a unit of work that holds the lock of the business: change its settings.

    Refuses: Invalid, together with the faults in `others`, as `accounts.update_merchant`.
    """
    faults = [*merchant_faults(settings.business_name, settings.time_zone, settings.home_currency), *others]
    faults += _zone_faults(merchant, settings.time_zone, actor)
    if not 0 <= settings.grace_days <= MAX_GRACE_DAYS:
        faults.append(Fault("grace_days", "grace_days", limit=MAX_GRACE_DAYS))
    days = merchant.withdrawal_days if settings.withdrawal_days is None else settings.withdrawal_days
    if not 0 <= days <= MAX_WITHDRAWAL_DAYS:
        faults.append(Fault("withdrawal_days", "withdrawal_days", limit=MAX_WITHDRAWAL_DAYS))
    name = merchant.business_name
    if not faults and typed_text.read(settings.business_name) != name and _renames_today(merchant.id) >= MAX_RENAMES:
        faults.append(Fault("business_name", "renamed_often", limit=MAX_RENAMES))
    if faults:
        raise Invalid(*faults)
    merchant.business_name = typed_text.read(settings.business_name)
    merchant.time_zone = settings.time_zone
    merchant.grace_days = settings.grace_days
    if settings.home_currency != merchant.home_currency:
        _keep_refund_limits(merchant, settings.home_currency)
    merchant.withdrawal_days = days
    merchant.home_currency = settings.home_currency
    merchant.updated_at = clock.now()
    try:
        db.session.flush()
    except IntegrityError as error:
        if violated(error) == "home_currency_fixed":
            raise Invalid(Fault("home_currency", "currency_fixed")) from error
        raise
    if merchant.business_name != name:
        _record_rename(merchant, name, actor)


def _renames_today(merchant_id: int) -> int:
    of_merchant = OperatorAct.merchant_id == merchant_id, OperatorAct.kind == "merchant_renamed"
    query = select(func.count()).where(*of_merchant, OperatorAct.created_at > clock.now() - timedelta(days=1))
    return db.session.scalar(query) or 0


def _record_rename(merchant: Merchant, before: str, actor: Actor) -> None:
    """Keep the former name for operators, who get a mail if they approved it, or if the new one reads like another."""
    act_id = operators.write_act("merchant_renamed", by=actor.user_id, merchant=merchant, detail=before)
    was_looked_at = merchant.approved_at is not None and not operators.approves_at_once(is_demo=False)
    if was_looked_at or operators.reads_like_another(merchant):
        operators.tell_of_act(act_id)


def merchant_faults(business_name: str, time_zone: str, home_currency: str) -> list[Fault]:
    """The faults of a merchant's name, zone (IANA) and home currency (ISO 4217)."""
    faults = text_faults("business_name", business_name, if_empty=Fault("business_name", "required"))
    if home_currency not in money.CURRENCIES:
        faults.append(Fault("home_currency", "unknown_currency"))
    if time_zone not in clock.zones():
        faults.append(Fault("time_zone", "unknown_zone"))
    return faults


def _zone_faults(merchant: Merchant, time_zone: str, actor: Actor) -> list[Fault]:
    """The faults of a change to this zone (IANA).

    owners_zone: a manager could begin another day, and refund a day's limit again. zone_before_closing: the day until
    which the books are closed (`day`) is not over there.
    """
    if time_zone == merchant.time_zone:
        return []
    faults = [] if actor.may("own") else [Fault("time_zone", "owners_zone")]
    closed = db.session.scalar(select(Merchant.books_closed_until).where(Merchant.id == merchant.id))
    if closed is not None and time_zone in clock.zones() and clock.today(time_zone) <= closed:
        faults.append(Fault("time_zone", "zone_before_closing", day=closed))
    return faults


def _keep_refund_limits(merchant: Merchant, currency: str) -> None:
    """Keep the figures of refund limits when the home currency changes: SAR 300.00 becomes JPY 300."""
    digits = money.digits(merchant.home_currency), money.digits(currency)
    for table in (Membership, ApiKey):
        limit = func.div(table.refund_limit * 10 ** digits[1], 10 ** digits[0])
        rows = update(table).where(table.merchant_id == merchant.id, table.refund_limit.is_not(None))
        db.session.execute(rows.values(refund_limit=func.least(limit, money.MAX_MINOR)))
