"""Stored results: each shape, its version, and its way to JSON and back."""

import dataclasses
import hashlib
import json
import sys
import types
from datetime import UTC, date, datetime
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

import portal.app  # noqa: F401 imports every module with a shape
from portal.errors import AnswerGone
from portal.services import results, row_facts
from portal.services.results import Pending, Result

SHAPES = {
    "Accepted": (5, "84098929bbbc"),
    "Answered": (1, "84098929bbbc"),
    "ApiKeyCreated": (1, "6a0fc159d71d"),
    "CreditGiven": (6, "07bc8fb82d1d"),
    "CustomerCorrected": (5, "84098929bbbc"),
    "Delivered": (1, "84098929bbbc"),
    "DeliveryQueued": (1, "0c6365da5b6e"),
    "Disputed": (5, "84098929bbbc"),
    "EndpointCreated": (1, "65714373fe09"),
    "LinkRenewed": (1, "64c5571d6b26"),
    "LinkRevoked": (1, "c3ef9bc9edc2"),
    "Objected": (1, "df0dd67efe35"),
    "PaymentDeclined": (7, "29a75853908d"),
    "PaymentFound": (4, "fbd602ed0dff"),
    "PaymentMade": (7, "29a75853908d"),
    "PaymentMethodSaved": (1, "d1f696d31c26"),
    "PaymentRecorded": (6, "fbd602ed0dff"),
    "PaymentReversed": (6, "fbd602ed0dff"),
    "PaymentVoided": (5, "fbd602ed0dff"),
    "PlanCancelled": (8, "832d9ba50105"),
    "PlanCreated": (7, "84098929bbbc"),
    "PlanDraftFound": (1, "9ecf938260a1"),
    "PlanDraftSaved": (2, "9ecf938260a1"),
    "PlanFound": (6, "84098929bbbc"),
    "PlanRescheduled": (2, "07bc8fb82d1d"),
    "PlanWrittenOff": (6, "07bc8fb82d1d"),
    "ProposalEnded": (1, "5d10a062fe74"),
    "RefundsDeclined": (3, "a89cafb27e15"),
    "RefundsFound": (3, "a89cafb27e15"),
    "RefundsMade": (3, "a89cafb27e15"),
    "ReminderQueued": (1, "c53d9a9f1137"),
    "RescheduleProposed": (1, "5d10a062fe74"),
    "SecretRotated": (1, "65714373fe09"),
    "ShopPaymentBegun": (1, "ec61ba420020"),
    "Upheld": (1, "84098929bbbc"),
    "Withdrawn": (1, "84098929bbbc"),
}
"""The version and a digest of the fields of each stored shape. A new digest needs a new version, of its class or of the
one class inside it that changed."""


def shapes() -> dict[str, type[Result]]:
    return {
        name: shape
        for name, shape in results._classes.items()
        if shape.__module__.startswith("portal.") and not issubclass(shape, Pending) and not name.startswith("_Of")
    }


def outline(kind: Any) -> Any:
    """A description of a type: names and types of fields, all the way down."""
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind, vars(sys.modules[kind.__module__]))
        return {each.name: outline(hints[each.name]) for each in dataclasses.fields(kind)}
    if get_origin(kind) is Literal:
        return sorted(get_args(kind))
    if get_args(kind):
        return [str(get_origin(kind)), *(outline(part) for part in get_args(kind))]
    return str(kind)


def sample(kind: Any) -> Any:
    """A value of a type."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind, vars(sys.modules[kind.__module__]))
        stored = [each for each in dataclasses.fields(kind) if each.metadata.get("stored", True)]
        return kind(**{each.name: sample(hints[each.name]) for each in stored})
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) is tuple:
        return (sample(get_args(kind)[0]), sample(get_args(kind)[0]))
    if get_origin(kind) in (Union, types.UnionType):
        return sample(get_args(kind)[0])
    if get_origin(kind) is dict:
        return {"branch": "\u0627\u0644\u0639\u0644\u064a\u0627"}
    instant = datetime(2026, 11, 27, 6, 5, 4, 3, UTC)
    return {int: 2**62, str: "caf\u00e9", bool: True, date: date(2026, 8, 31), datetime: instant}[kind]


def test_every_change_of_a_shape_has_a_new_version() -> None:
    digests = {
        name: (results.version_of(shape), hashlib.sha256(json.dumps(outline(shape)).encode()).hexdigest()[:12])
        for name, shape in shapes().items()
    }
    assert digests == SHAPES


def test_the_version_of_a_class_inside_counts_for_every_shape_that_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    held = ("Accepted", "PaymentMade", "PlanCreated", "CreditGiven")
    before = {name: results.version_of(shapes()[name]) for name in (*held, "ApiKeyCreated")}
    monkeypatch.setattr(row_facts.InstallmentFacts, "version", 3, raising=False)
    results._version_of.cache_clear()
    try:
        after = {name: results.version_of(shapes()[name]) for name in before}
    finally:
        results._version_of.cache_clear()
    assert after == {name: before[name] + (2 if name in held else 0) for name in before}


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_result_comes_back_from_json_unchanged_and_marked_as_a_replay(name: str) -> None:
    result = sample(shapes()[name])
    again = results.decode(json.loads(json.dumps(results.encode(result))))
    assert again == result and type(again) is type(result)
    assert (result.replayed, again.replayed) == (False, True)


@pytest.mark.parametrize(
    "change", [{"shape": "PlanMelted"}, {"version": 0}, {"version": 99}], ids=["unknown shape", "older", "newer"]
)
def test_a_shape_or_version_of_another_release_is_refused_as_gone(change: dict[str, Any]) -> None:
    stored = results.encode(sample(shapes()["PlanFound"]))
    with pytest.raises(AnswerGone) as refused:
        results.decode(stored | change)
    assert (refused.value.code, refused.value.status) == ("answer_gone", 409)


def test_a_field_that_is_not_stored_is_left_out_and_has_its_default() -> None:
    created = shapes()["ApiKeyCreated"]
    result = dataclasses.replace(sample(created), text="a secret")
    stored = results.encode(result)
    assert "a secret" not in json.dumps(stored) and "a secret" not in repr(result)
    assert results.decode(stored).text is None  # type: ignore[attr-defined]
