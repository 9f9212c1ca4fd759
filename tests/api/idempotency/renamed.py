"""Changes of all names, texts and languages that a response could have read again."""

from flask import Flask
from sqlalchemy import select, update

from portal.domain.chart import ACCOUNTS
from portal.extensions import db
from portal.models import Merchant, Payment, Plan, Refund, TypedText, User
from portal.services.accounts.merchant_settings import Settings
from portal.services.adjustments import metadata
from portal.services.books import chart, letterheads
from portal.services.books.letterheads import Words
from portal.services.plans import pairs
from portal.services.privacy import profiles
from tests.fixtures import people

NEW, PHONE = "متجر جديد", "+966 11 111 1111"
NOTES = {"order": NEW}


def everything(app: Flask) -> None:
    """Give each business, person, pair, account of the books and purchase another name, and erase the typed texts.

    Accounts get Arabic as their language, another email and another username. Businesses get a letterhead, another
    time zone and other days of grace and withdrawal. Plans, payments and refunds get other ids and metadata.
    """
    with app.app_context():
        for merchant in db.session.scalars(select(Merchant).where(Merchant.deactivated_at.is_(None))).all():
            _business(merchant)
        for plan in db.session.scalars(select(Plan)).all():
            owner = people.owner(plan.merchant_id)
            pairs.describe(plan.customer_id, pairs.Words(name=NEW, phone=PHONE, note=NEW), actor=owner)
            metadata.change_plan(plan.id, NOTES, actor=owner)
        for payment in db.session.scalars(select(Payment)).all():
            metadata.change_payment(payment.id, NOTES, actor=people.owner(payment.plan.merchant_id))
        for refund in db.session.scalars(select(Refund)).all():
            metadata.change_refund(refund.id, NOTES, actor=people.owner(refund.plan.merchant_id))
        for user_id in db.session.scalars(select(User.id).where(User.deactivated_at.is_(None))).all():
            profiles.update(user_id, full_name=NEW, phone=PHONE, language="ar")
        db.session.rollback()
        for user in db.session.scalars(select(User)):
            user.email = f"new{user.id}@example.com"
            user.username = user.username and f"new{user.id}"
        for purchase in db.session.scalars(select(Plan)):
            purchase.description, purchase.external_id = NEW, f"new {purchase.id}"
        db.session.execute(update(Merchant).values(business_name=NEW))
        db.session.execute(update(TypedText).values(text=None))
        db.session.commit()


def _business(merchant: Merchant) -> None:
    """Through its owner's settings. A draft business has no accounts to rename."""
    owner, currency = people.owner(merchant.id), merchant.home_currency
    words = Words(address=NEW, tax_number="300000000000003", email="desk@example.com", phone=PHONE)
    letterheads.change_merchant(owner, Settings(NEW, "Pacific/Auckland", 7, currency, 3), words)
    for number, account in enumerate(ACCOUNTS, 1):
        chart.rename(owner, account, code=f"9{number:03}", name=f"{NEW} {number}", export_name=f"Neu{number}")
