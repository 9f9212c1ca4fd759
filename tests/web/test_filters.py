"""Templates call macros, functions and methods as Jinja does, by a shorter way."""

from datetime import date
from typing import Any

import pytest
from flask import Flask
from jinja2 import Environment, pass_context, pass_environment, pass_eval_context
from jinja2.runtime import Context
from markupsafe import Markup

from portal.web.filters import Calls
from portal.wording.language import in_language

SOURCES = [
    "{{ plain(1, b=2) }}",
    "{{ evaluated(1) }} {{ whole('x') }} {{ environment() }}",
    "{{ thing.method(3) }} {{ thing.evaluated(4) }} {{ thing(5) }} {{ thing.whole('x') }}",
    "{{ text.count('a') }} {{ items.get('a') }} {{ kind(2026, 11, 1) }} {{ dict(a=1)['a'] }}",
    "{% macro m(a, b=2) %}{{ a }}-{{ b }}-{{ caller() if caller else '' }}{% endmacro %}"
    "{{ m('<a>') }}{{ m(b=1, a=2) }}{% call m(1) %}<b>{% endcall %}",
    "{% for x in [1, 2] %}{{ whole('x') }}{{ plain(x) }}{{ evaluated(x) }}{{ thing.method(x) }}{% endfor %}",
    "{% block one %}{% set x = 7 %}{{ whole('x') }}{{ plain(x) }}{{ text.upper() }}{% endblock %}",
    "{{ '<a>' if evaluated else '' }}{{ ['b', 'a'].index('a') }}",
]


class Thing:
    def method(self, number: int) -> str:
        return f"method {number}"

    def __call__(self, number: int) -> str:
        return f"called {number}"

    @pass_eval_context
    def evaluated(self, evaluation: Any, number: int) -> str:
        return f"{evaluation.autoescape} {number}"

    @pass_context
    def whole(self, context: Context, name: str) -> str:
        return f"{context.get(name)}"


@pass_eval_context
def evaluated(evaluation: Any, number: int) -> str:
    return f"{evaluation.autoescape} {number}"


@pass_context
def whole(context: Context, name: str) -> str:
    return f"{context.get(name)}"


@pass_environment
def environment(environment: Environment) -> str:
    return type(environment).__name__


def plain(*args: Any, **kwargs: Any) -> str:
    return f"{args} {kwargs}"


@pytest.mark.parametrize("autoescape", [True, False])
@pytest.mark.parametrize("source", SOURCES)
def test_a_template_calls_as_jinja_does(source: str, autoescape: bool) -> None:
    shown = []
    for context in (Context, Calls):
        made = Environment(autoescape=autoescape)  # noqa: S701 (its own texts)
        made.context_class = context
        made.globals.update(
            plain=plain, evaluated=evaluated, whole=whole, environment=environment, thing=Thing(), kind=date
        )
        shown.append(made.from_string(source).render(text="banana", items={"a": "&"}, x="outer"))
    assert shown[0] == shown[1]


def drawn(app: Flask, source: str, **values: Any) -> str:
    imports = "{% from 'ui/facts.html' import badge %}{% from 'ui/brand.html' import segments %}"
    return app.jinja_env.from_string(imports + source).render(**values)


def test_a_macro_that_is_drawn_once_tells_text_and_markup_apart(app: Flask) -> None:
    with app.test_request_context():
        text, markup = (drawn(app, "{{ badge('late', text) }}", text=text) for text in ("<b>", Markup("<b>")))
    assert "<span>&lt;b&gt;</span>" in text and "<span><b></span>" in markup


@pytest.mark.usefixtures("arabic")
def test_a_macro_that_is_drawn_once_follows_the_language(app: Flask) -> None:
    with app.test_request_context():
        shown = [drawn(app, "{{ badge('late') }}{{ segments(['paid', 'late']) }}")]
        with in_language("ar"):
            shown.append(drawn(app, "{{ badge('late') }}{{ segments(['paid', 'late']) }}"))
        shown.append(drawn(app, "{{ badge('late') }}{{ segments(['paid', 'late']) }}"))
    assert shown[0] == shown[2] != shown[1] and "1 of 2 paid" in shown[0] and "1 of 2 paid" not in shown[1]


def test_a_macro_that_is_drawn_once_takes_lists_generators_and_names(app: Flask) -> None:
    class Row:
        status = "paid"

    with app.test_request_context():
        one = drawn(app, "{{ segments(rows | map(attribute='status'), new=[2]) }}", rows=[Row(), Row()])
        two = drawn(app, "{{ segments(['paid', 'paid'], new=2) }}")
        three = drawn(app, "{{ segments(['paid', 'paid'], total=3) }}")
    assert one == two and one.count("segment-new") == 1 and "2 of 3 paid" in three


def test_every_template_has_these_calls(app: Flask) -> None:
    assert app.jinja_env.context_class is Calls
