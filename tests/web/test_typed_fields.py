"""Every text field of the pages has a row here. Settings fields accept, refuse and show the texts of every script.

The forms of plans and of actions on plans are tested in test_typed_texts.py.
"""

import csv
import importlib
import io
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from flask import Flask
from markupsafe import escape
from wtforms import EmailField, HiddenField, PasswordField, StringField

import portal.web
from portal.domain import typed_text
from portal.services.merchants import usual_terms
from portal.services.merchants.usual_terms import Terms
from portal.web.forms import Form
from tests.fixtures import people
from tests.pages import pseudo_language
from tests.services.imports import spreadsheets
from tests.web import browser_of
from tests.web.acts import a_world, words
from tests.web.imports.test_imports import import_of
from tests.web.test_typed_texts import ACCEPTED, CASES, REFUSED

PLAN_FIELDS: Final = {
    "accounts.api_keys.KeyForm.name",
    "accounts.registrations.RegistrationForm.business_name",
    "adjustments.cancellations.CancelForm.reason",
    "adjustments.credits.CreditForm.reason",
    "agreements.answers.AnswerForm.answer",
    "confirmations.forms.ReasonForm.reason",
    "merchants.objections.ObjectionForm.reason",
    "merchants.settings.SettingsForm.business_name",
    "operations.decisions.ReasonForm.reason",
    "payments.manual_payments.RecordForm.reason",
    "payments.manual_payments.RecordForm.reference",
    "payments.refunds.RefundForm.reason",
    "adjustments.reschedules.RescheduleForm.reason",
    "plans.plan_form.PlanForm.description",
}
"""The fields of test_typed_texts.py."""

NOT_TYPED_TEXTS: Final = {
    "amount": {
        "accounts.api_keys.KeyForm.refund_limit",
        "adjustments.cancellations.CancelForm.refund",
        "adjustments.credits.CreditForm.amount",
        "payments.manual_payments.RecordForm.amount",
        "payments.plan_payments.PaymentForm.amount",
        "payments.refunds.RefundForm.amount",
        "plans.plan_form.PlanForm.deposit",
        "plans.plan_form.PlanForm.total_amount",
        "team.team.MemberForm.refund_limit",
    },
    "day": {
        "adjustments.reschedules.RescheduleForm.due_date",
        "books.books.ClosingForm.until",
        "payments.manual_payments.RecordForm.received_on",
        "plans.plan_form.PlanForm.start_date",
    },
    "number": {
        "imports.match_form.MatchForm.num_installments",
        "plans.plan_form.PlanForm.num_installments",
        "reminders.reminder_settings.SettingsForm.days_after",
        "reminders.reminder_settings.SettingsForm.days_before",
    },
    "email": {
        "books.letterheads.LetterheadForm.email",
        "invitations.customer_emails.EmailForm.customer_email",
        "plans.plan_form.PlanForm.customer_email",
    },
    "phone": {
        "books.letterheads.LetterheadForm.phone",
        "merchants.customers.WordsForm.phone",
        "privacy.profiles.ProfileForm.phone",
    },
    "username, or a username or email": {
        "accounts.password_resets.RequestForm.login",
        "accounts.registrations.RegistrationForm.username",
        "accounts.sessions.SignInForm.login",
        "invitations.invitations.ClaimForm.username",
    },
    "one-time code": {
        "accounts.email_proofs.CodeForm.code",
        "accounts.sign_in_codes.MailedCodeForm.code",
        "accounts.sign_in_steps.CodeForm.code",
        "security.fresh_sign_ins.PasswordAgainForm.code",
        "security.second_factors.AppForm.code",
    },
    "code of an alphabet": {
        "books.books.AccountForm.code",
        "books.books.AccountForm.export_name",
        "merchants.webhooks.EndpointForm.url",
        "payments.plan_payments.PaymentForm.method",
    },
}
"""Fields of other kinds, which have rules and tests of their own."""


@dataclass(frozen=True)
class Setting:
    """A field of a form that saves at once, and the page that shows it again."""

    form: str
    field: str
    address: str
    shown: str
    beside: dict[str, str] = field(default_factory=dict)
    limit: int = 200
    reader: str = "amal"
    lines: bool = False


TERMS: Final = {"num_installments": "3", "interval": "monthly", "deposit_percent": "", "first_days": "30"}
SETTINGS: Final = (
    Setting("merchants.customers.WordsForm", "name", "/customers/{customer}", "/customers/{customer}"),
    Setting("merchants.customers.WordsForm", "note", "/customers/{customer}", "/customers/{customer}", limit=500),
    Setting(
        "books.letterheads.LetterheadForm",
        "address",
        "/settings/letterhead",
        "/payments/{payment}",
        limit=300,
        lines=True,
    ),
    Setting(
        "books.letterheads.LetterheadForm",
        "tax_number",
        "/settings/letterhead",
        "/payments/{payment}",
        limit=40,
    ),
    Setting(
        "books.books.AccountForm",
        "name",
        "/settings/books/accounts/cash",
        "/settings/books",
        {"code": "1000", "export_name": "Assets:Till"},
        limit=60,
    ),
    Setting(
        "merchants.usual_terms.TermsForm",
        "name",
        "/settings/terms/{terms}",
        "/settings/terms",
        TERMS,
        limit=40,
    ),
    Setting(
        "privacy.profiles.ProfileForm",
        "full_name",
        "/account",
        "/account",
        {"language": pseudo_language.LANGUAGE},
        reader="omar",
    ),
)
PASSKEY: Final = "security.factor_pages.PasskeyForm.name"


def code_of(typed: str) -> str:
    """The code of this text's refusal."""
    try:
        typed_text.read(typed)
    except typed_text.BadText as bad:
        return bad.reason
    raise AssertionError(ascii(typed))


def forms(of: type[Any] = Form) -> Iterator[type[Any]]:
    for form in of.__subclasses__():
        yield form
        yield from forms(form)


def text_fields() -> set[str]:
    """The fields in which people type, as module.class.field, with those that a form inherits."""
    for module in pkgutil.walk_packages(portal.web.__path__, "portal.web."):
        importlib.import_module(module.name)
    found = set()
    for form in forms():
        if not form.__module__.startswith("portal.web."):
            continue
        for name in dir(form):
            kind = getattr(getattr(form, name), "field_class", object)
            if issubclass(kind, StringField) and not issubclass(kind, (HiddenField, PasswordField, EmailField)):
                found.add(f"{form.__module__.removeprefix('portal.web.')}.{form.__name__}.{name}")
    return found


def test_every_text_field_of_every_form_has_a_row() -> None:
    others = [name for names in NOT_TYPED_TEXTS.values() for name in names]
    settings = [f"{setting.form}.{setting.field}" for setting in SETTINGS]
    rows = [*PLAN_FIELDS, *others, *settings, PASSKEY]
    assert sorted(rows) == sorted(text_fields())


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    plan, payment = a_world(app)
    with app.app_context():
        merchant = people.plan_of(plan).merchant_id
        terms = usual_terms.add(people.owner(merchant), Terms("Three months", 3, "monthly", None, 30))
        return {"payment": payment, "customer": people.plan_of(plan).customer_id, "terms": terms}


@pytest.mark.parametrize(
    "setting",
    [SETTINGS[0], *(pytest.param(setting, marks=pytest.mark.long) for setting in SETTINGS[1:])],
    ids=lambda setting: f"{setting.address}-{setting.field}",
)
def test_a_setting_accepts_refuses_and_shows_the_texts_of_every_script(
    app: Flask, ids: dict[str, int], setting: Setting
) -> None:
    browser = browser_of(app, setting.reader)
    address, shown = setting.address.format(**ids), setting.shown.format(**ids)
    lines = {text for text in CASES["refuse"] if setting.lines and "\n" in text}
    too_long = {text for text, stored in ACCEPTED.items() if len(stored) > setting.limit}
    for typed in {*CASES["refuse"], *too_long, "W" * (setting.limit + 1)} - lines:
        response = browser.post(address, data=setting.beside | {setting.field: typed})
        assert response.status_code == 422 and f'id="{setting.field}-error"' in response.text, ascii(typed)
    for typed in ACCEPTED.keys() - too_long:
        response = browser.post(address, data=setting.beside | {setting.field: typed})
        assert response.status_code == 303, (ascii(typed), response.text)
        assert escape(ACCEPTED[typed]) in browser.get(shown).text, ascii(typed)
        assert escape(ACCEPTED[typed]) in browser.get(address).text or browser.get(address).status_code == 405
    for typed in lines:
        assert browser.post(address, data=setting.beside | {setting.field: typed}).status_code == 303
        assert words(browser.get(shown)).count("line end") == 1


def test_the_name_of_a_passkey_has_the_same_rule(app: Flask, ids: dict[str, int]) -> None:
    """A refused name is explained before the passkey itself is looked at."""
    omar, address = browser_of(app, "omar"), "/account/passkeys"
    for typed in REFUSED:
        response = omar.post(address, data={"name": typed, "credential": "{}"})
        assert response.status_code == 422 and 'id="name-error"' in response.text, ascii(typed)
    for typed in ACCEPTED:
        response = omar.post(address, data={"name": typed, "credential": "{}"})
        assert response.status_code == 422 and 'id="name-error"' not in response.text, ascii(typed)


def test_cells_of_an_imported_file_have_the_same_rule(app: Flask, ids: dict[str, int]) -> None:
    """As descriptions and numbers of plans, and names of their customers. Blanks around a cell are not part of it."""

    def a_file(texts: Iterable[str]) -> bytes:
        file = io.StringIO()
        rows = csv.writer(file, lineterminator="\n")
        for number, text in enumerate(texts):
            rows.writerow([f"p{number}@example.com", text, "", "90", "3", "2099-01-31", text, text[:100]])
        return spreadsheets.a_file(file.getvalue())

    amal = browser_of(app, "amal")
    page = amal.get(import_of(amal, a_file(ACCEPTED))).text
    for text in ACCEPTED.values():
        assert escape(text) in page, ascii(text)
    refused = [text for text in REFUSED if "\x00" not in text and text == text.strip(typed_text.BLANKS)]
    with app.app_context():
        owner = people.owner(people.payment_of(ids["payment"]).merchant_id)
        checked = spreadsheets.dry_run(spreadsheets.upload(owner, a_file(refused)), owner)
        faults = spreadsheets.faults_of(checked)
    for column in (1, 6):
        assert [code for _line, found, code in faults if found == column] == [code_of(text) for text in refused], column
