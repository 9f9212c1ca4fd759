"""Rendering of mails, in the language that is current: the subject and the text from <kind>.txt, the HTML from
<kind>.html.

The first line of the text template is the subject. The styles are inlined, because mail programs drop style sheets.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from css_inline import CSSInliner
from flask import current_app
from jinja2 import Environment, StrictUndefined

from portal.gateways.email import Content, subject_line

FOLDERS: Final = (
    "mail",
    "mail/accounts",
    "mail/payments",
    "mail/plans",
    "mail/operations",
    "mail/security",
    "mail/team",
)
"""The folders of templates/ with the templates of mails."""
GLOBALS: Final = ("_", "gettext", "ngettext", "pgettext", "npgettext", "language", "text_direction")
"""The functions of the application's environment that templates of mails may call."""
_SUBJECT: Final = "Subject: "
_ENVIRONMENT: Final = "mail_environment"
_inliner = CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


def compose(template: str, facts: Mapping[str, Any]) -> Content:
    """Render the mail with this template's name. Raises jinja2.UndefinedError if a fact is missing."""
    templates = environment()
    plain = templates.select_template([f"{folder}/{template}.txt" for folder in FOLDERS])
    rendered = plain.render(facts).replace("\u00a0", " ").strip()
    first, _, rest = rendered.partition("\n")
    subject = subject_line(first.removeprefix(_SUBJECT))
    text = re.sub(r"\n{3,}", "\n\n", rest.strip()) + "\n"
    styled = templates.select_template([f"{folder}/{template}.html" for folder in FOLDERS])
    return Content(subject, text, _inliner.inline(styled.render(facts, subject=subject)))


def environment() -> Environment:
    """The application's environment, where a missing fact is an error and a line with only a block leaves no gap.

    It has GLOBALS only: a function of the pages could take the place of a missing fact of its name.
    """
    made: Environment | None = current_app.extensions.get(_ENVIRONMENT)
    if made is None:
        made = current_app.jinja_env.overlay(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
        made.globals = {name: current_app.jinja_env.globals[name] for name in GLOBALS}
        current_app.extensions[_ENVIRONMENT] = made
    return made
