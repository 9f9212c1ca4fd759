"""The timeline's sentences: every kind of event has one."""

import pytest

from portal.domain.events import KINDS, Payload
from portal.models import Plan
from portal.web.plans.event_sentences import ICONS, SENTENCES
from portal.web.plans.scenes import Scene
from tests.domain.event_examples import SENTENCES as EXPECTED
from tests.house.test_house import ROOT


def test_every_kind_of_event_has_a_sentence_and_an_icon() -> None:
    assert set(SENTENCES) == set(KINDS.values()) == set(ICONS)
    drawings = (ROOT / "templates/ui/lucide.html").read_text()
    assert [icon for icon in ICONS.values() if f"'{icon}':" not in drawings] == []


@pytest.mark.parametrize(("payload", "sentence"), EXPECTED, ids=lambda value: getattr(value, "kind", None))
def test_the_sentence_of_a_payload(payload: Payload, sentence: str) -> None:
    scene = Scene(Plan(currency="SAR"), {1: 1, 2: 2, 3: 3}, {1: [3, 1, 2]})
    assert SENTENCES[type(payload)](payload, scene).replace("\u00a0", " ") == sentence
