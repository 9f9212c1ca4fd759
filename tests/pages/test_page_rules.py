"""Each rule reports the pages that break it, and no others."""

import pytest
from flask import Flask, Response

from tests.pages import page_rules
from tests.pages.html_tree import Fault, Tree
from tests.pages.page_client import BrokenPage, PageClient, check_mail

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Plans · Qist</title></head>
<body>
<a class="skip-link" href="#main">Skip to content</a>
<header><a href="/"><img src="/logo.svg" alt="Qist"></a></header>
<main id="main">
<h1>Plans</h1>
{}
</main>
<footer><p>The footer</p></footer>
</body>
</html>"""
MAIL = '<!doctype html><html lang="en"><head><title>A receipt</title></head><body>{}</body></html>'
TOKEN = '<input type="hidden" name="csrf_token" value="a token">'


def answers(address: str, method: str) -> bool:
    return address in {"/", "/plans"} and method in {"GET", "POST"}


def rules(faults: list[Fault]) -> list[str]:
    return [fault.rule for fault in faults]


@pytest.mark.parametrize(
    "inside",
    [
        "",
        '<label for="name">Name</label><input id="name">',
        '<label>Name <textarea name="note"></textarea></label>',
        '<p id="a">Name</p><select aria-labelledby="a"><option>1</option></select>',
        '<input aria-label="Name"><input type="hidden" name="key"><input type="submit" value="Send">',
        f'<form method="post" action="/plans">{TOKEN}<button>Send</button></form>',
        '<form action="/plans"><button aria-label="Search"><svg><path d="m0 0"/></svg></button></form>',
        '<dialog aria-labelledby="t"><h2 id="t">Sure?</h2><form method="dialog"><button>No</button></form></dialog>',
        f'<form method="post" action="/plans" hx-post="/plans" hx-target="#main">{TOKEN}</form>',
        "<p><span>Words</span><br>more</p><table><tbody><tr><td><p>A cell</p></td></tr></tbody></table>",
    ],
)
def test_a_valid_page_breaks_no_rule(inside: str) -> None:
    assert page_rules.page_faults(Tree(PAGE.format(inside)), answers) == []


@pytest.mark.parametrize(
    ("inside", "rule"),
    [
        ('<p id="a">1</p><p id="a">2</p>', "id"),
        ('<p id="">1</p>', "id"),
        ('<p id="a b">1</p>', "id"),
        ("<input>", "label"),
        ("<select><option>1</option></select>", "label"),
        ("<textarea></textarea>", "label"),
        ('<input id="name"><label for="name"></label>', "label"),
        ('<input placeholder="Name" title="Name">', "label"),
        ("<h1>Another</h1>", "heading"),
        ('<form method="post" action="/plans"></form>', "csrf"),
        ('<form method="post" action="/plans"><input type="hidden" name="csrf_token" value=""></form>', "csrf"),
        ('<button hx-post="/plans">Send</button>', "csrf"),
        (f'<form method="post" action="/nowhere">{TOKEN}</form>', "form"),
        (f'<form method="post">{TOKEN}</form>', "form"),
        (f'<form method="post" action="https://example.com/plans">{TOKEN}</form>', "form"),
        ('<form action="/nowhere"></form>', "form"),
        ('<form method="dialog"><button>Close</button></form>', "form"),
        ('<button formaction="/nowhere">Send</button>', "form"),
        ('<p hx-get="/nowhere"></p>', "form"),
        ('<a href="/nowhere">Nowhere</a>', "link"),
        ("<a>Nowhere</a>", "link"),
        ('<a href="/"></a>', "name"),
        ('<a href="/"><svg><title>Home</title><path d="m0 0"/></svg></a>', "name"),
        ('<button aria-label=" "></button>', "name"),
        ('<img src="/logo.svg">', "name"),
        ('<a href="#nowhere">Nowhere</a>', "reference"),
        ('<p aria-describedby="main nowhere">1</p>', "reference"),
        ('<p aria-controls="nowhere">1</p>', "reference"),
        ('<label for="nowhere">Name</label>', "reference"),
        ('<button form="nowhere">Send</button>', "reference"),
        ('<p hx-target="#nowhere">1</p>', "reference"),
        (f'<form method="post" action="/plans">{TOKEN}<form action="/"></form></form>', "nesting"),
        ('<a href="/"><button>Send</button></a>', "nesting"),
        ('<button><span tabindex="0">Send</span></button>', "nesting"),
        ('<details><summary>More <a href="/">Home</a></summary></details>', "nesting"),
        ("<label>Name <label>Name</label></label>", "nesting"),
        ("<p>1<div>2</div></p>", "nesting"),
        ("<ul><li><p>1</li></ul>", "nesting"),
        ("<b><i>1</b></i>", "nesting"),
        ("</div>", "nesting"),
        ("<span/>", "nesting"),
        ('<p class="a" class="b">1</p>', "nesting"),
    ],
)
def test_a_fault_in_a_page_is_reported(inside: str, rule: str) -> None:
    assert rule in rules(page_rules.page_faults(Tree(PAGE.format(inside)), answers))


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("<h1>Plans</h1>", "", "heading"),
        ("<h1>Plans</h1>", "<h1> </h1>", "heading"),
        ("Plans · Qist", "Qist", "title"),
        ("Plans · Qist", " ", "title"),
        ("<title>Plans · Qist</title>", "", "title"),
        (' lang="en"', "", "language"),
        ("<!doctype html>", "", "doctype"),
        ("<footer><p>The footer</p></footer>", "<div><p>The footer</p></div>", "landmark"),
        ("<footer><p>The footer</p></footer>", "The footer", "landmark"),
        ('<main id="main">', '<main><p id="main">1</p></main><main>', "landmark"),
        ("</main>\n", "", "nesting"),
    ],
)
def test_a_fault_in_a_document_is_reported(before: str, after: str, rule: str) -> None:
    changed = PAGE.format("").replace(before, after)
    assert rule in rules(page_rules.page_faults(Tree(changed), answers))


def test_a_fragment_may_refer_to_its_page() -> None:
    fragment = (
        '<p aria-describedby="elsewhere">1</p><template><tr id="row" hx-swap-oob="true"><td>1</td></tr></template>'
    )
    assert page_rules.fragment_faults(Tree(fragment), answers) == []


@pytest.mark.parametrize(
    ("fragment", "rule"),
    [
        ('<p id="a">1</p><template><p id="a" hx-swap-oob="true">2</p></template>', "id"),
        ("<input>", "label"),
        ('<form method="post" action="/plans"></form>', "csrf"),
        ("<template><p hx-swap-oob='true'>1</p></template>", "out of band"),
        ('<template><p id="a">1</p></template>', "out of band"),
        ("<!doctype html><p>1</p>", "doctype"),
    ],
)
def test_a_fault_in_a_fragment_is_reported(fragment: str, rule: str) -> None:
    assert rules(page_rules.fragment_faults(Tree(fragment), answers)) == [rule]


def test_a_valid_mail_breaks_no_rule() -> None:
    assert page_rules.mail_faults(Tree(MAIL.format('<h1>1</h1><a href="https://pay.shop.test/">Pay</a>'))) == []


@pytest.mark.parametrize(
    ("mail", "rule"),
    [
        (MAIL.format("<h1>1</h1><h1>2</h1>"), "heading"),
        (MAIL.format('<img src="cid:1">'), "name"),
        (MAIL.format('<a href="https://pay.shop.test/"></a>'), "name"),
        (MAIL.format('<a href="/plans">Pay</a>'), "link"),
        (MAIL.format("<p>1"), "nesting"),
        (MAIL.format("").replace(' lang="en"', ""), "language"),
        (MAIL.format("").replace("A receipt", ""), "title"),
    ],
)
def test_a_fault_in_a_mail_is_reported(mail: str, rule: str) -> None:
    assert rule in rules(page_rules.mail_faults(Tree(mail)))
    with pytest.raises(BrokenPage, match=rf"the receipt breaks rules of pages:\n  {rule}: "):
        check_mail("the receipt", mail)


@pytest.fixture
def small() -> Flask:
    """An application that responds with `config["response"]`."""
    small = Flask(__name__)
    small.add_url_rule("/", "home", lambda: small.config["response"], methods=["GET", "POST"])
    return small


def test_the_client_reports_the_address_the_rule_and_the_element(small: Flask) -> None:
    small.config["response"] = PAGE.format('<input name="note">')
    with pytest.raises(BrokenPage) as raised:
        small.test_client().get("/?page=2")
    assert "GET / (200)" in str(raised.value)
    assert 'label: the field has no label: <input name="note">' in str(raised.value)


def test_the_client_checks_a_page_or_a_fragment_according_to_the_request(small: Flask) -> None:
    client = small.test_client()
    assert isinstance(client, PageClient)
    htmx = {"HX-Request": "true"}
    small.config["response"] = "<p>1</p>"
    assert client.post("/", headers=htmx).status_code == 200
    with pytest.raises(BrokenPage, match="doctype"):
        client.post("/")
    with pytest.raises(BrokenPage, match="doctype"):
        client.get("/", headers={**htmx, "HX-History-Restore-Request": "true"})
    small.config["response"] = PAGE.format("")
    assert client.get("/").status_code == 200
    with pytest.raises(BrokenPage, match="doctype"):
        client.get("/", headers=htmx)


def test_the_client_ignores_redirects_and_other_types(small: Flask) -> None:
    for response in (Response("<p>See /", 303), Response("<p>", mimetype="text/plain"), Response("", 200)):
        small.config["response"] = response
        assert small.test_client().get("/").status_code == response.status_code


def test_pages_that_differ_only_in_the_token_are_checked_once(small: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    real = page_rules.page_faults
    monkeypatch.setattr(page_rules, "page_faults", lambda *args: checked.append(args[0]) or real(*args))
    for token in ("first", "second"):
        small.config["response"] = PAGE.format(
            f'<form method="post" action="/">{TOKEN.replace("a token", token)}</form>'
        )
        small.test_client().get("/")
    assert len(checked) == 1
