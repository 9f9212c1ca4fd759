"""Accounts: registration, unique usernames and emails, passwords and settings."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select, text

from portal import access
from portal.domain import clock
from portal.errors import Forbidden, Invalid, NotFound
from portal.extensions import db
from portal.models import Email, Merchant, User
from portal.reports.plans import plans as plan_lists
from portal.reports.plans.filters import PlanFilters
from portal.services.accounts import accounts, hats, password_resets, sessions
from portal.services.accounts.accounts import NewAccount
from portal.services.accounts.merchant_settings import Settings
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")

HANA = NewAccount("merchant", "hana", "hana@example.com", people.PASSWORD, "Hana's Books", "SAR", "Asia/Riyadh")


def faults_of(call, *args, **kwargs):
    """The field and code of each fault."""
    with pytest.raises(Invalid) as refused:
        call(*args, **kwargs)
    return {(fault.field, fault.code) for fault in refused.value.faults}


def count_of_users():
    db.session.rollback()
    return db.session.scalar(select(func.count(User.id)))


def test_hana_registers_as_a_merchant():
    user = db.session.get_one(User, accounts.register(HANA))
    assert (user.registered_as, user.username, user.email) == ("merchant", "hana", "hana@example.com")
    (membership,) = user.memberships
    merchant = membership.merchant
    assert (membership.role, merchant.id) == ("owner", user.id)
    assert (merchant.business_name, merchant.home_currency, merchant.time_zone) == (
        "Hana's Books",
        "SAR",
        "Asia/Riyadh",
    )
    assert merchant.grace_days == 0
    assert user.password_hash.startswith("$argon2id$")


def test_a_customer_has_no_merchant():
    user = db.session.get_one(User, people.omar())
    assert user.registered_as == "customer"
    assert user.memberships == []


def test_blanks_are_stripped_and_compatible_characters_become_plain():
    user_id = accounts.register(replace(HANA, username="  ｈａｎａ ", email=" hana@EXAMPLE.com "))
    user = db.session.get_one(User, user_id)
    assert (user.username, user.email) == ("hana", "hana@example.com")


def test_a_username_may_be_the_accounts_own_email():
    accounts.register(replace(HANA, username="Hana@example.com"))
    assert sessions.authenticate("HANA@example.COM", people.PASSWORD)


STAFF = ["admin", "Аdmin", "ad-min", "Supp0rt", "qist_team", "admin42", "SECURITY", "ROOT", "раyments"]
"""Usernames that read like staff, two of them with letters of the Cyrillic alphabet."""
BAD_INPUT = [
    ({"username": ""}, ("username", "required")),
    ({"username": "  "}, ("username", "required")),
    ({"username": "ha na"}, ("username", "bad_username")),
    ({"username": "h\x00a"}, ("username", "bad_username")),
    ({"username": "<b>"}, ("username", "bad_username")),
    ({"username": "h\u200ba"}, ("username", "bad_username")),
    ({"username": "h\u200da"}, ("username", "bad_username")),
    ({"username": "h\u034fa"}, ("username", "bad_username")),
    ({"username": "h\u202ea"}, ("username", "bad_username")),
    ({"username": "h\u3164a"}, ("username", "bad_username")),
    *(({"username": name}, ("username", "like_staff")) for name in STAFF),
    ({"username": "\u093fh"}, ("username", "bad_username")),
    ({"username": "h" * 151}, ("username", "bad_username")),
    ({"username": "omar@example.com"}, ("username", "username_is_email")),
    ({"username": "hana@"}, ("username", "username_is_email")),
    ({"email": ""}, ("email", "required")),
    ({"email": "hana"}, ("email", "bad_email")),
    ({"email": "hana@"}, ("email", "bad_email")),
    ({"email": "a@b@example.com"}, ("email", "bad_email")),
    ({"email": "ha na@example.com"}, ("email", "bad_email")),
    ({"email": "h\x00@example.com"}, ("email", "bad_email")),
    ({"email": "hana@example.com\nBcc: x@example.com"}, ("email", "bad_email")),
    ({"email": f"{'h' * 300}@example.com"}, ("email", "bad_email")),
    ({"password": ""}, ("password", "password_too_short")),
    ({"password": "seven77"}, ("password", "password_too_short")),
    ({"password": "x" * 129}, ("password", "password_too_long")),
    ({"password": "PassWord1"}, ("password", "password_common")),
    ({"password": "12345678"}, ("password", "password_common")),
    ({"password": "hana@example.com"}, ("password", "password_is_name")),
    ({"password": "aaaaaaaa"}, ("password", "password_weak")),
    ({"password": "Password123!"}, ("password", "password_weak")),
    ({"password": "seven\x00boats"}, ("password", "password_unusable")),
    ({"role": "operator"}, ("role", "unknown_role")),
    ({"role": ""}, ("role", "unknown_role")),
    ({"business_name": " "}, ("business_name", "required")),
    ({"business_name": "x" * 201}, ("business_name", "too_long")),
    ({"business_name": "two\nlines"}, ("business_name", "bad_text")),
    ({"business_name": "nul\x00"}, ("business_name", "bad_text")),
    ({"home_currency": "XXX"}, ("home_currency", "unknown_currency")),
    ({"home_currency": "sar"}, ("home_currency", "unknown_currency")),
    ({"time_zone": "Mars/Olympus"}, ("time_zone", "unknown_zone")),
    ({"time_zone": "../etc/passwd"}, ("time_zone", "unknown_zone")),
    ({"time_zone": ""}, ("time_zone", "unknown_zone")),
    ({"time_zone": "localtime"}, ("time_zone", "unknown_zone")),
    ({"time_zone": "Factory"}, ("time_zone", "unknown_zone")),
]


def test_bad_input_is_a_fault_on_its_field(subtests):
    for change, fault in BAD_INPUT:
        with subtests.test(change=change):
            assert faults_of(accounts.register, replace(HANA, **change)) == {fault}
            assert count_of_users() == 0


def test_all_faults_are_raised_at_once():
    wrong = NewAccount("merchant", "", "nobody", "short", "", "XXX", "Nowhere")
    assert faults_of(accounts.register, wrong) == {
        ("username", "required"),
        ("email", "bad_email"),
        ("password", "password_too_short"),
        ("business_name", "required"),
        ("home_currency", "unknown_currency"),
        ("time_zone", "unknown_zone"),
    }


def test_a_customers_merchant_fields_are_ignored():
    assert accounts.register(NewAccount("customer", "hana", "hana@example.com", people.PASSWORD, "", "???", "???"))


def test_usernames_and_emails_are_taken_in_every_case():
    people.omar()
    assert faults_of(accounts.register, replace(HANA, username="OMAR", email="Omar@Example.com")) == {
        ("username", "username_taken"),
        ("email", "email_taken"),
    }


@pytest.mark.parametrize(("first", "again"), [("ΝΙΚΟΣ", "νικος"), ("νικος", "ΝΙΚΟΣ"), ("STRASSE", "straße")])
def test_usernames_are_taken_in_every_case_of_every_script_and_emails_are_not(first, again):
    """Also for letters that the database's lower() does not know."""
    user_id = accounts.register(replace(HANA, username=first, email=f"{first}@example.com"))
    assert faults_of(accounts.register, replace(HANA, username=again, email=f"{again}@example.com")) == {
        ("username", "username_taken")
    }
    assert sessions.authenticate(again, people.PASSWORD) == user_id
    assert sessions.authenticate(f"{first}@Example.com", people.PASSWORD) == user_id
    with pytest.raises(sessions.BadCredentials):
        sessions.authenticate(f"{again}@example.com", people.PASSWORD)
    assert accounts.register(replace(HANA, username="other", email=f"{again}@example.com")) != user_id


@pytest.mark.parametrize("name", ["राहुल", "สมชาย", "עַמִית", "山田太郎", "قسط", "தமிழ்", "zo\u00eb_1"])
def test_a_username_has_letters_and_marks_of_any_script(name):
    user_id = accounts.register(replace(HANA, username=name))
    assert sessions.authenticate(name, people.PASSWORD) == user_id


def test_a_username_may_be_the_own_email_in_other_case_of_ascii_letters():
    user_id = accounts.register(replace(HANA, username="ΑΣa@Example.com", email="ΑΣA@example.com"))
    assert sessions.authenticate("ΑΣa@example.com", people.PASSWORD) == user_id
    assert faults_of(accounts.register, replace(HANA, username="ΑΣa@example.com", email="hana@example.com")) == {
        ("username", "username_is_email"),
    }
    other = replace(HANA, username="ΑΣA@example.com", email="ασa@example.com")
    assert ("username", "username_is_email") in faults_of(accounts.register, other)


@pytest.mark.parametrize("login", ["ｈａｎａ", " ＨＡＮＡ ", "amé@xn--bcher-kva.example", "AMe\u0301@BÜCHER.example"])
def test_the_text_typed_at_registration_signs_in(login):
    user_id = accounts.register(replace(HANA, username=" ｈａｎａ", email="ame\u0301@bücher.example"))
    assert sessions.authenticate(login, people.PASSWORD) == user_id
    other = "ame\u0301@bücher.example" if "@" in login else "hana"
    assert access.login_key(login) == access.login_key(other)
    password_resets.ask(login)
    assert db.session.scalar(select(Email.to_user_id)) == user_id


def test_plans_for_other_spellings_of_an_invited_email_have_the_same_customer():
    amal = people.amal()
    spellings = "ΝΙΚΟΣa@faß.example.com", "ΝΙΚΟΣA@FAß.example.com", "ΝΙΚΟΣa@xn--fa-hia.example.com"
    first, *others = (people.plan_of(people.a_plan(amal, email)).customer_id for email in spellings)
    assert others == [first, first]
    for spelling in spellings:
        page = plan_lists.list_plans(people.owner(amal), PlanFilters(customer_email=spelling))
        assert len(page.items) == 3


def test_a_username_and_an_email_may_be_taken_by_different_accounts():
    people.omar()
    people.sara()
    assert faults_of(accounts.register, replace(HANA, username="omar", email="sara@example.com")) == {
        ("username", "username_taken"),
        ("email", "email_taken"),
    }


def test_registering_an_invited_email_gives_no_access():
    plan_id = people.a_plan(people.amal(), "nadia@example.com")
    nadia = accounts.register(NewAccount("customer", "nadia", "NADIA@example.com", people.PASSWORD))
    invited = db.session.scalars(select(User).where(User.holds_email("nadia@example.com"))).one()
    assert invited.password_hash is None
    assert not invited.is_active
    assert people.plan_of(plan_id).customer_id == invited.id != nadia
    assert sessions.authenticate("nadia@example.com", people.PASSWORD) == nadia
    actor = hats.actor_of(db.session.get_one(User, nadia), None)
    assert (actor.is_proven, actor.permissions) == (False, frozenset())
    with pytest.raises(NotFound):
        access.my_plan(actor, plan_id)


@pytest.mark.parametrize("same", ["email", "username", "both"])
def test_of_registrations_of_the_same_name_at_once_one_succeeds_and_the_others_are_taken(app, same):
    for turn in range(5):
        first = NewAccount("customer", f"a{turn}", f"a{turn}@example.com", people.PASSWORD)
        second = replace(
            first,
            username=first.username.upper() if same != "email" else f"b{turn}",
            email=first.email.upper() if same != "username" else f"b{turn}@example.com",
        )
        results = at_once(app, [lambda new=new: accounts.register(new) for new in (first, second, first, second)])
        assert sorted(type(result).__name__ for result in results) == ["Invalid", "Invalid", "Invalid", "int"]
        codes = {fault.code for result in results if isinstance(result, Invalid) for fault in result.faults}
        assert codes <= {"email_taken", "username_taken"}
    assert count_of_users() == 5


def test_plans_for_the_same_unknown_email_at_once_have_one_customer(app):
    amal, badr = people.amal(), people.badr()
    today = people.today_of(amal)
    calls = [
        lambda merchant=merchant, email=email: plans.open_plan(people.owner(merchant), NewPlan(email, 1000, 2, today))
        for merchant in (amal, badr)
        for email in ("new@example.com", "NEW@example.com")
    ]
    results = at_once(app, calls)
    assert all(getattr(result, "plan_id", 0) for result in results), results
    assert count_of_users() == 3


def test_an_operator_is_created_by_its_own_function_with_the_same_faults():
    assert db.session.get_one(User, people.an_operator()).registered_as == "operator"
    assert faults_of(accounts.create_operator, "", "x", "short") == {
        ("username", "required"),
        ("email", "bad_email"),
        ("password", "password_too_short"),
    }


class TestPassword:
    NEW = "eleven red kites"

    def test_changing_it_ends_the_other_sessions(self):
        omar = people.omar()
        here, there = sessions.start(omar), sessions.start(omar)
        elsewhere = sessions.start(people.sara())
        keep = sessions.find(here).id
        accounts.change_password(omar, current=people.PASSWORD, new=self.NEW, keep_session_id=keep)
        assert sessions.find(here)
        assert sessions.find(there) is None
        assert sessions.find(elsewhere)
        assert sessions.authenticate("omar", self.NEW) == omar
        with pytest.raises(sessions.BadCredentials):
            sessions.authenticate("omar", people.PASSWORD)

    def test_a_fault_changes_nothing(self, subtests):
        omar = people.omar()
        token = sessions.start(omar)
        for current, new, fault in (
            ("not it", self.NEW, ("current_password", "wrong_password")),
            ("", self.NEW, ("current_password", "wrong_password")),
            (people.PASSWORD, "short", ("new_password", "password_too_short")),
            (people.PASSWORD, "password123", ("new_password", "password_common")),
            (people.PASSWORD, "omar@example.com", ("new_password", "password_is_name")),
            (people.PASSWORD, people.PASSWORD, ("new_password", "password_unchanged")),
        ):
            with subtests.test(new=new):
                assert faults_of(accounts.change_password, omar, current=current, new=new, keep_session_id=None) == {
                    fault
                }
                assert sessions.find(token)
                assert sessions.authenticate("omar", people.PASSWORD) == omar

    def test_an_unknown_account_and_an_unclaimed_one_are_refused(self):
        people.a_plan(people.amal(), "nadia@example.com")
        nadia = db.session.scalars(select(User.id).where(User.has_email("nadia@example.com"))).one()
        assert faults_of(accounts.change_password, nadia, current="", new=self.NEW, keep_session_id=None) == {
            ("current_password", "wrong_password")
        }
        with pytest.raises(NotFound):
            accounts.change_password(10**6, current="x", new=self.NEW, keep_session_id=None)


class TestSettings:
    def update(self, merchant_id, **changes):
        settings = {"business_name": "Amal's", "time_zone": "Asia/Dubai", "grace_days": 5, "home_currency": "SAR"}
        accounts.update_merchant(people.actor_of(merchant_id), Settings(**(settings | changes)))
        db.session.rollback()
        return db.session.get_one(Merchant, merchant_id, populate_existing=True)

    def test_all_settings_change(self):
        merchant = self.update(people.amal(), home_currency="AED")
        assert (merchant.business_name, merchant.time_zone, merchant.grace_days, merchant.home_currency) == (
            "Amal's",
            "Asia/Dubai",
            5,
            "AED",
        )

    def test_zone_and_grace_days_count_for_plans_made_afterwards(self):
        amal = people.amal()
        before = people.plan_of(people.a_plan(amal, "new@example.com"))
        late_at = before.installments[0].late_at
        self.update(amal, grace_days=5)
        after = people.plan_of(people.a_plan(amal, "new@example.com"))
        before = people.plan_of(before.id)
        assert (before.grace_days, before.time_zone, before.installments[0].late_at) == (0, "Asia/Riyadh", late_at)
        assert (after.grace_days, after.time_zone) == (5, "Asia/Dubai")
        assert (after.installments[0].late_on - after.installments[0].due_date).days == 6

    def test_bad_settings_are_faults_on_their_fields(self, subtests):
        amal = people.amal()
        for change, fault in (
            ({"business_name": ""}, ("business_name", "required")),
            ({"time_zone": "Mars"}, ("time_zone", "unknown_zone")),
            ({"grace_days": -1}, ("grace_days", "grace_days")),
            ({"grace_days": 31}, ("grace_days", "grace_days")),
            ({"home_currency": "XXX"}, ("home_currency", "unknown_currency")),
        ):
            with subtests.test(change=change):
                assert faults_of(self.update, amal, **change) == {fault}

    def test_the_home_currency_is_fixed_by_the_first_plan(self):
        amal = people.amal()
        people.a_plan(amal, "new@example.com")
        assert faults_of(self.update, amal, home_currency="USD") == {("home_currency", "currency_fixed")}
        assert self.update(amal, home_currency="SAR").home_currency == "SAR"

    def test_a_plan_and_another_currency_at_once_leave_every_plan_in_the_home_currency(self, app):
        for turn in range(6):
            merchant = people.a_merchant(f"m{turn}")
            new = NewPlan("new@example.com", 1000, 2, people.today_of(merchant))
            at_once(
                app,
                [
                    lambda m=merchant, new=new: plans.open_plan(people.owner(m), new),
                    lambda m=merchant: self.update(m, home_currency="KWD"),
                ],
            )
        db.session.rollback()
        odd = "SELECT count(*) FROM plans JOIN merchants ON merchants.id = merchant_id WHERE currency <> home_currency"
        assert db.session.scalar(text(odd)) == 0

    def test_only_merchants_have_settings(self):
        with pytest.raises(Forbidden):
            self.update(people.omar())
        sara = people.sara()
        with pytest.raises(Forbidden):
            plans.open_plan(people.actor_of(sara), NewPlan("omar@example.com", 1000, 2, clock.today("UTC")))


def test_a_username_that_reads_like_anothers_is_refused(context):
    people.a_customer("amal.salem")
    for alike in ("Amal-Salem", "\u0430mal.salem", "arnalsalem", "ama1_salem"):
        with pytest.raises(Invalid) as refused:
            people.a_customer(alike)
        assert "like_another" in {fault.code for fault in refused.value.faults}, alike
    assert people.a_customer("amal.saleh")
    with pytest.raises(Invalid) as refused:
        people.a_customer("AMAL.SALEM")
    assert refused.value.faults[0].code == "username_taken"
