"""The sentences of faults: mistakes in a form's fields, or in the fields and parameters of an API request."""

from typing import Final

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.wording import dates
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals.sentences import Sentence, Table, Values


def _one_line(values: Values) -> str:
    return str(
        ngettext(
            "Use at most %(num)s letter, on one line.", "Use at most %(num)s letters, on one line.", values["limit"]
        )
    )


def _too_precise(values: Values) -> str:
    return str(
        ngettext(
            "%(currency)s has at most %(num)s digit after the point.",
            "%(currency)s has at most %(num)s digits after the point.",
            values["digits"],
            currency=values["currency"],
        )
    )


def _one_of(values: Values) -> str:
    return str(_("Send one of these: %(names)s.", names=", ".join(values["names"])))


def _unknown_language(values: Values) -> str:
    return str(_("Choose a language of this installation: %(names)s.", names=", ".join(values["names"])))


def _unknown_event_type(values: Values) -> str:
    return str(_("This type of event is not known. Known here: %(names)s.", names=", ".join(values["names"])))


def _unknown_parameter(values: Values) -> str:
    if not values["names"]:
        return str(_("This parameter is not known. No parameter is known here."))
    return str(_("This parameter is not known. Known here: %(names)s.", names=", ".join(values["names"])))


AMOUNTS: Final[dict[str, Sentence]] = {
    "missing": _l("Enter an amount."),
    "not_digits": _l("Enter an amount in digits, like %(example)s."),
    "too_precise": _too_precise,
    "whole_only": _l("%(currency)s has no digits after the point."),
    "too_large": _l("The largest amount is %(limit)s."),
}
"""By `BadAmount.about`."""

FAULTS: Final[Table] = {
    **{(code, about): sentence for code in ("bad_amount", "bad_total") for about, sentence in AMOUNTS.items()},
    # The books
    ("books_after_yesterday", ""): lambda values: _("Choose %(day)s or an earlier day.", day=dates.day(values["day"])),
    ("books_closed_already", ""): lambda values: _(
        "The books are closed until %(day)s already. Choose a later day.", day=dates.day(values["day"])
    ),
    ("bad_code", ""): _l("Write letters, digits, points and hyphens, up to 20."),
    ("bad_export_name", ""): _l("Write letters, digits and hyphens, with colons between the parts."),
    ("name_taken", ""): _l("Another account has this already."),
    # Accounts and settings
    ("already_member", ""): _l("This person is in the team already."),
    # A letterhead
    ("bad_image", ""): _l("Choose an image in PNG or JPEG."),
    ("file_too_large", ""): _l("The file may have at most 1 MB."),
    ("image_too_large", ""): lambda values: _(
        "Choose an image of at most %(limit)s by %(limit)s pixels.", limit=values["limit"]
    ),
    ("too_many_lines", ""): lambda values: ngettext(
        "Use at most %(num)s line.", "Use at most %(num)s lines.", values["limit"]
    ),
    ("too_long", "lines"): lambda values: ngettext(
        "Use at most %(num)s letter in all.", "Use at most %(num)s letters in all.", values["limit"]
    ),
    ("bad_email", ""): _l("Enter an email address like name@example.com."),
    ("bad_email", "lookalikes"): _l("Write this email in plain letters, without ligatures and full-width letters."),
    ("bad_phone", ""): _l("Enter a phone number, such as +966 50 123 4567, or leave it empty."),
    ("bad_text", "typed_text"): _l(
        "Write it on one line, without control characters and marks that turn the direction of other text."
    ),
    ("too_long", ""): _one_line,
    ("invisible_text", ""): _l("Write it in letters that can be seen."),
    ("bad_hour", ""): _l("Choose an hour of the day."),
    ("bad_username", ""): lambda values: ngettext(
        "Use up to %(num)s letter, digit and . + - _ and nothing else.",
        "Use up to %(num)s letters, digits and . + - _ and nothing else.",
        values["limit"],
    ),
    ("like_staff", ""): _l("This reads like an account of the people who run this site. Choose another username."),
    ("like_another", ""): _l("This reads like the username of another account. Choose one that differs more."),
    ("currency_fixed", ""): _l("The home currency can't change once you have a plan."),
    ("date_in_past", "expires_on"): _l("Choose today or a later day."),
    ("email_taken", ""): _l("There is an account with this email already. Sign in instead."),
    ("email_taken", "race"): _l("There is an account with this email already."),
    ("email_unchanged", ""): _l("This is your email already."),
    ("renamed_often", ""): lambda values: ngettext(
        "The name changed %(num)s time in the last 24 hours. Change it tomorrow.",
        "The name changed %(num)s times in the last 24 hours. Change it tomorrow.",
        values["limit"],
    ),
    ("grace_days", ""): lambda values: ngettext(
        "Choose 0 to %(num)s day.", "Choose 0 to %(num)s days.", values["limit"]
    ),
    ("withdrawal_days", ""): lambda values: ngettext(
        "Choose 0 to %(num)s day.", "Choose 0 to %(num)s days.", values["limit"]
    ),
    ("password_common", ""): _l("This password is among the most common ones. Choose another."),
    ("password_is_name", ""): _l("Choose a password without your own name, email or business in it."),
    ("password_weak", ""): _l(
        "This password is easy to guess. Use three or four words that have nothing to do with each other."
    ),
    ("password_too_long", ""): lambda values: ngettext(
        "Use at most %(num)s character.", "Use at most %(num)s characters.", values["limit"]
    ),
    ("password_too_short", ""): lambda values: ngettext(
        "Use at least %(num)s character.", "Use at least %(num)s characters.", values["limit"]
    ),
    ("password_unchanged", ""): _l("Choose a password that differs from the current one."),
    ("password_unusable", ""): _l("Use letters, digits, signs and spaces."),
    ("passwords_differ", ""): _l("The two passwords are not the same."),
    ("reads_only", ""): _l("A key that may not refund has no limit. Leave it empty, or let the key refund."),
    ("required", "business_name"): _l("Enter the name that customers know you by."),
    ("required", "email"): _l("Enter an email address."),
    ("required", "name"): _l("Enter a name that tells you where the key is used."),
    ("required", "usual_terms"): _l("Enter a name, such as “Three months”."),
    ("name_taken", "usual_terms"): _l("You have terms of this name already."),
    ("bad_percent", ""): _l("Enter a whole percentage from 1 to 99."),
    ("bad_first_days", ""): lambda values: ngettext(
        "Choose 0 to %(num)s day.", "Choose 0 to %(num)s days.", values["limit"]
    ),
    ("bad_first_days", "deposit"): _l("The deposit is due at once. Enter 1 or more days for the payment after it."),
    ("required", "username"): _l("Choose a username."),
    ("too_early", ""): lambda values: ngettext(
        "Remind at most %(num)s day before.", "Remind at most %(num)s days before.", values["limit"]
    ),
    ("too_late", ""): lambda values: ngettext(
        "Remind at most %(num)s day after.", "Remind at most %(num)s days after.", values["limit"]
    ),
    ("too_many", "days_after"): lambda values: ngettext(
        "Choose at most %(num)s reminder in all.", "Choose at most %(num)s reminders in all.", values["limit"]
    ),
    ("unknown_language", ""): _unknown_language,
    ("unknown_currency", ""): _l("Choose a currency from the list."),
    ("choose_merchant", ""): _l("Your account belongs to several merchants. Choose one, or null."),
    ("unknown_merchant", ""): _l("Your account belongs to no merchant with this id."),
    ("unknown_permission", ""): _l("Choose permissions that your own role has."),
    ("unknown_team_role", ""): _l("Choose a role from the list."),
    ("unknown_role", ""): _l("Choose merchant or customer."),
    ("merchants_closed", ""): _l("This installation takes no new businesses. Register as a customer."),
    ("same_person", ""): _l("The operator and the owner need different usernames and emails."),
    ("owners_zone", ""): _l("Only an owner changes the time zone, because limits of refunds count by its days."),
    ("zone_before_closing", ""): lambda values: _(
        "The books are closed until %(day)s, and that day is not over in this time zone. Choose it later.",
        day=dates.day(values["day"]),
    ),
    ("unknown_zone", ""): _l("Choose a time zone from the list."),
    ("username_is_email", ""): _l("A username with an @ has to be your own email."),
    ("username_taken", ""): _l("This username is taken. Choose another."),
    ("wrong_code", ""): lambda values: ngettext(
        "This is not the code of the newest mail. You have %(num)s try left.",
        "This is not the code of the newest mail. You have %(num)s tries left.",
        values["limit"],
    ),
    ("wrong_code", "app"): _l("This is not the app’s code. Look at the app again: its code changes every 30 seconds."),
    ("wrong_code", "mailed"): _l("This is not the code of the newest mail, or it lapsed. Ask for another one."),
    ("wrong_code", "sign_in"): _l("This code is not right, or it was used before. Wait for the next one."),
    ("passkey_refused", ""): _l("This passkey was not accepted. Try again, or use another way."),
    ("passkey_known", ""): _l("This passkey belongs to an account already."),
    ("required", "passkey"): _l("Enter a name, such as “phone”."),
    ("second_factor_required", ""): _l("This account has a second factor. Send the code of the app, too."),
    ("wrong_password", ""): _l("This is not your current password."),
    ("wrong_password", "registration"): _l("This is not the password that was chosen."),
    # New plans
    ("same_email", ""): _l("This is the plan’s email already."),
    ("plan_limit", "new"): lambda values: ngettext(
        "A new business invites %(num)s new customer a day. Try again tomorrow. Once %(known)s customers have set up "
        "their account or paid, you can invite more.",
        "A new business invites %(num)s new customers a day. Try again tomorrow. Once %(known)s customers have set up "
        "their account or paid, you can invite more.",
        values["limit"],
        known=values["known"],
    ),
    ("plan_limit", "known"): lambda values: ngettext(
        "A business invites %(num)s new customer a day. Try again tomorrow.",
        "A business invites %(num)s new customers a day. Try again tomorrow.",
        values["limit"],
    ),
    ("mail_limit", "business"): lambda values: ngettext(
        "This address got %(num)s mail from you within a day, which is the most. Try again tomorrow.",
        "This address got %(num)s mails from you within a day, which is the most. Try again tomorrow.",
        values["limit"],
    ),
    ("mail_limit", "all"): lambda values: ngettext(
        "This address got %(num)s mail from businesses within a day, which is the most. Try again tomorrow.",
        "This address got %(num)s mails from businesses within a day, which is the most. Try again tomorrow.",
        values["limit"],
    ),
    ("bad_count", ""): lambda values: ngettext(
        "Choose 1 to %(num)s installment.", "Choose 1 to %(num)s installments.", values["limit"]
    ),
    ("bad_date", "start_date"): _l("Choose a date."),
    ("bad_dates", ""): _l("Due dates lie between %(first)s and %(last)s."),
    ("bad_deposit", ""): _l("The deposit is above zero and less than the total."),
    ("bad_interval", ""): _l("Choose weekly, every two weeks, or monthly."),
    ("bad_total", ""): _l("Enter an amount above zero."),
    ("date_after_deposit", ""): _l("The deposit is due today. Choose a later day for the payment after it."),
    ("date_in_past", "installments"): _l("Choose today or a later day."),
    ("date_in_past", "start_date"): _l("The first due date is today or later."),
    ("dates_not_rising", ""): _l("Choose a day after the one before."),
    ("not_with_installments", ""): _l("Leave it out: the installments say it."),
    ("not_with_change", ""): _l("Leave it out: this change does not use it."),
    ("wrong_sum", ""): _l("These amounts sum to %(sum)s, and the total is %(total)s."),
    ("blocked", "customer_email"): _l(
        "This person takes no new plans from your business at present. They can allow it on their account’s page."
    ),
    ("required", "external_id"): _l("Enter an id of your own, or leave it out."),
    ("required", "answer"): _l("Write an answer, in a few words."),
    ("not_a_customer", ""): _l("A plan can't be made for this email."),
    ("too_long", "metadata"): lambda values: ngettext(
        "Names have 1 to %(names)s letters, texts at most %(num)s.",
        "Names have 1 to %(names)s letters, texts at most %(num)s.",
        values["limit"],
        names=values["name_limit"],
    ),
    ("too_many", "metadata"): lambda values: ngettext(
        "Use at most %(num)s entry.", "Use at most %(num)s entries.", values["limit"]
    ),
    ("total_too_small", ""): _l("This total is too small to be split into that many installments."),
    ("unusable", ""): _l("Use letters, digits and signs; NUL is none of them."),
    # Imports from a file
    ("required", "file"): _l("Choose a CSV file that is not empty."),
    ("required", "column"): lambda values: _("Choose the column that holds: %(field)s.", field=values["label"]),
    ("bad_choice", "columns"): _l("Choose one of the list."),
    ("bad_choice", "date_order"): _l("Choose one of the list."),
    ("bad_choice", "kind"): _l("Choose plans or customers."),
    ("file_too_big", ""): _l("This file is too big. At most %(limit)s MB can be imported at once."),
    ("file_spreadsheet", ""): _l(
        "This is a spreadsheet, not a CSV file. Open it, choose “Save as” or “Download”, and then CSV (UTF-8)."
    ),
    ("file_not_text", ""): _l("This file can't be read as text. Save it as CSV (UTF-8) and choose it again."),
    ("file_no_rows", ""): _l("This file has names of columns, but no line under them."),
    ("file_too_many_rows", ""): lambda values: ngettext(
        "At most %(count)s line can be imported at once. Split the file.",
        "At most %(count)s lines can be imported at once. Split the file.",
        values["limit"],
        count=f"{values['limit']:,}",
    ),
    ("file_too_many_columns", ""): lambda values: ngettext(
        "This file has more than %(num)s column.", "This file has more than %(num)s columns.", values["limit"]
    ),
    ("file_quotes", ""): _l("The quotation marks of line %(line)s don't end where they should."),
    ("too_many_cells", ""): lambda values: ngettext(
        "This line has more cells than the %(num)s column of the file.",
        "This line has more cells than the %(num)s columns of the file.",
        values["limit"],
    ),
    ("bad_date", "day"): _l("Write a day like 2026-12-31 or 31/12/2026."),
    ("bad_date", "month"): _l("Write a day like 2026-12-31 or 12/31/2026."),
    ("other_currency", ""): _l("Your plans are in %(currency)s. Leave out lines in another currency."),
    ("duplicate", "external_id"): _l("Line %(line)s has this number, too."),
    ("duplicate", "customer_email"): _l("Line %(line)s has this email, too."),
    ("external_id_used", ""): _l("Another plan has this number."),
    ("external_id_drafted", ""): _l("A plan that was imported before and not made yet has this number."),
    ("own_words", ""): _l("This is your own email. Another member of your team changes what stands about you."),
    # Payments, refunds, and changes of a plan's money
    ("bad_amount", "refund"): _l("Enter an amount, or nothing."),
    ("bad_amount", "zero"): _l("Enter an amount above zero."),
    ("bad_amount", "zero_in_form"): _l("Enter more than zero."),
    ("bad_choice", "choice"): _l("Choose what is due, all of it, or an amount."),
    ("bad_choice", "reschedule"): _l("Choose to move one, to shift all, or to split the rest."),
    ("date_taken", ""): _l("Another installment is due on that day. Choose another day."),
    ("not_open", ""): _l("Choose an installment that is open."),
    ("bad_choice", "how"): _l("Choose from the last installment backwards, or spread."),
    ("bad_choice", "method"): _l("Choose cash or bank transfer."),
    ("bad_date", "before_plan"): _l("The plan is younger than that. Choose %(limit)s or a later day."),
    ("bad_date", "unreadable"): _l("Choose the day on which it came."),
    ("date_in_future", ""): _l("Choose today or an earlier day."),
    ("gateway_away", ""): _l("The card could not be saved. Please try again in a moment."),
    ("not_chosen", "refund"): _l("You typed an amount. Choose “Give back a part” to refund it, or clear it."),
    ("required", "amount"): _l("Enter an amount."),
    ("required", "reason"): _l("Say why, in a few words."),
    ("too_much", "credit"): _l("That is more than what is left to pay, which is %(limit)s."),
    ("too_much", "manual_payment"): _l("That is more than is owed, which is %(limit)s."),
    ("too_much", "refund"): _l("At most %(limit)s can be given back."),
    ("unknown_method", "card"): _l("Choose one of the cards."),
    ("unknown_method", "payment_method"): _l("This payment method is not known. Nothing was charged."),
    # Requests of programs
    ("bad_amount", "api"): _l("Send an amount in digits, like 1200.00 or 1200."),
    ("bad_cursor", ""): _l("This cursor is not one that a page gave."),
    ("bad_date", "api"): _l("Send a date like 2026-08-31."),
    ("bad_idempotency_key", ""): _l("Use 1 to 255 visible ASCII characters, no blanks."),
    ("bad_instant", ""): _l(
        "Send a time with its offset, like 2026-08-31T09:00:00Z, or a day from 2000 to 2199, like 2026-08-31."
    ),
    ("bad_length", ""): lambda values: ngettext(
        "Send a list of 1 to %(num)s object.", "Send a list of 1 to %(num)s objects.", values["limit"]
    ),
    ("bad_number", ""): _l("Send a whole number from %(least)s to %(most)s."),
    ("bad_pair", ""): _l("Send a name of up to 40 characters, a colon, and a text of up to 500: branch:Olaya."),
    ("bad_text", ""): _l("Send text without NUL characters."),
    ("conflicting_parameters", ""): _l("This is the same filter as %(other)s: send one of the two."),
    ("not_an_object", ""): _l("Send one JSON object: {...}."),
    ("not_wanted", ""): _l("Leave it out, or choose amount."),
    ("repeated", ""): _l("Send this parameter once."),
    ("repeated", "field"): _l("Send this name once."),
    ("required", "api"): _l("This field is required."),
    ("required", "pay_plan"): _l("Say how much to pay."),
    ("unknown_field", ""): _l("This field is not known here."),
    ("bad_url", ""): _l("Enter an address like https://shop.example.com/webhooks, without a name and a password."),
    ("not_https", ""): _l("Enter an address that begins with https."),
    ("refused_address", ""): _l("Nothing is sent to this address. Enter the address of a server on the internet."),
    ("refused_address", "host"): _l("The operators of this site permit no webhooks to this host."),
    ("unknown_event_type", ""): _unknown_event_type,
    ("unknown_parameter", ""): _unknown_parameter,
    ("wrong_type", ""): _l("This value has another type than the field."),
    ("wrong_type", "choice"): _one_of,
    ("wrong_type", "pattern"): _l("Send a text like %(example)s."),
    ("wrong_type", "too_long"): _l("Send a shorter text: at most %(limit)s."),
    ("wrong_type", "too_many"): _l("Send a shorter list: at most %(limit)s."),
    ("wrong_type", "str"): _l("Send a text, in quotation marks."),
    ("wrong_type", "int"): _l("Send a whole number."),
    ("wrong_type", "bool"): _l("Send true or false."),
    ("wrong_type", "object"): _l("Send an object: {...}."),
    ("wrong_type", "array"): _l("Send a list: [...]."),
}
"""By `Fault.code` and `Fault.about`, which is the field unless the fault says otherwise."""

FOR_PROGRAMS: Final[Table] = {
    ("unknown_currency", ""): _l("Send the three letters of a currency of ISO 4217, like SAR."),
    ("unknown_method", "card"): _l("Send the token of a saved card, or of a card of the payment gateway."),
    ("unknown_zone", ""): _l("Send the IANA name of a time zone, like Asia/Riyadh."),
}
"""Sentences for the API, in place of those that speak of a page's list."""
