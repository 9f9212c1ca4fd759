"""The first page and its interactive example."""

import pytest
from flask.testing import FlaskClient

from tests.web import HTMX


def test_the_first_page_describes_the_product_and_links_to_sign_up(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "Let customers pay in parts." in page
    assert 'href="/register"' in page
    assert 'href="/login"' in page
    assert "1 of 4 paid" in page


def test_the_examples_button_works_with_and_without_javascript(client: FlaskClient) -> None:
    assert "2 of 4 paid" in client.get("/?paid=2").text
    part = client.get("/example?paid=3", headers=HTMX).text
    assert "3 of 4 paid" in part
    assert "<html" not in part
    assert "All paid" in client.get("/example?paid=4").text


@pytest.mark.parametrize("paid", ["", "-1", "5", "x", "1e3", "٣", "\x00", "9" * 5000])
def test_an_invalid_state_shows_the_example_in_its_first_state(client: FlaskClient, paid: str) -> None:
    response = client.get("/", query_string={"paid": paid})
    assert response.status_code == 200
    assert "1 of 4 paid" in response.text
