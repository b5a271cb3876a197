"""`key=value` texts of the command line."""

import pytest

from rpgan.arguments import parse_assignments
from rpgan.errors import UserError

DOTTED, PLAIN = "train.steps=20", "n_routes=20"


def test_values_are_json_else_literals_else_text():
    texts = ["a=3", "b=true", "c=1e-3", "d=None", 'e={"x": 2}', "f=cpu", "g=x=y", "h=[4, 8]", "j="]
    assert parse_assignments(texts, PLAIN) == {
        "a": 3,
        "b": True,
        "c": 1e-3,
        "d": None,
        "e": {"x": 2},
        "f": "cpu",
        "g": "x=y",
        "h": [4, 8],
        "j": "",
    }


def test_dotted_keys_are_for_settings_only():
    assert parse_assignments(["train.steps=3"], DOTTED) == {"train.steps": 3}
    with pytest.raises(UserError, match=r"got 'train.steps=3'; expected key=value, e.g. n_routes=20"):
        parse_assignments(["train.steps=3"], PLAIN)


@pytest.mark.parametrize("text", ["steps", "=3", "a b=3", "train.=3", ".steps=3", ""])
def test_other_texts_are_refused(text):
    with pytest.raises(UserError, match="expected key=value"):
        parse_assignments([text], DOTTED)


def test_deep_nesting_is_text():
    deep = "[" * 100_000
    assert parse_assignments([f"a={deep}"], PLAIN) == {"a": deep}
