from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from apps.common import json
from apps.common.errors import BadRequest, TooLarge
from tests.bounds import bounded

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | TEXT | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("document", "code", "pointer"),
    [
        ('{"a": {"b/c": [1, {"x": 1, "x": 2}]}}', "duplicate_key", "/a/b~1c/1"),
        (r'{"a": ["\u0000"]}', "nul_character", "/a/0"),
        (r'{"\u0000": 1}', "nul_character", ""),
        (r'{"a": "\ud800"}', "lone_surrogate", "/a"),
        ('{"a": 1e999}', "invalid_number", "/a"),
        ('{"a": 99999999999999999999}', "invalid_number", "/a"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested_too_deep", "/a" * 100),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_place(document, code, pointer):
    with pytest.raises(BadRequest) as caught:
        json.loads(document)

    assert caught.value.code == code
    assert [item.pointer for item in caught.value.errors] == [pointer]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ('{"a": 1,}', "invalid_json"),
        ("", "invalid_json"),
        ('{"a": NaN}', "invalid_number"),
        ("[-Infinity]", "invalid_number"),
        ("9" * 5000, "invalid_number"),
        (b'{"a": "\xff"}', "invalid_utf8"),
        ("[" * 10_000 + "]" * 10_000, "nested_too_deep"),
        ("[" * 8_000_000, "nested_too_deep"),
        ('{"a":' * 10_000, "nested_too_deep"),
    ],
)
def test_what_is_no_json_is_refused(document, code):
    with pytest.raises(BadRequest) as caught:
        json.loads(document)

    assert caught.value.code == code


def test_a_mistake_is_named_with_line_and_column():
    with pytest.raises(BadRequest, match="line 2, column 8"):
        json.loads('{\n  "a": x\n}')


@pytest.mark.parametrize("document", [b" " * (json.MAX_BYTES + 1), "[" + "1," * 1_000_000 + "1]"])
def test_what_is_too_large_is_refused_unread(document):
    with pytest.raises(TooLarge):
        json.loads(document)


@pytest.mark.parametrize(
    "document",
    [
        "[" + "1," * 299_000 + r'"\u0000"]',
        "[" + r'"\u0000",' + "1," * 299_000 + "1]",
        "[" + '"aaaa",' * 299_000 + r'"\\u0000"]',
        "[" + '{"a":1},' * 299_000 + "1]",
    ],
)
@bounded
def test_the_worst_documents_are_read(document):
    with suppress(BadRequest):
        json.loads(document)


def test_a_hundred_levels_are_read():
    assert json.loads("[" * 100 + "]" * 100)


def test_whole_surrogate_pairs_and_escaped_backslashes_are_no_fault():
    assert json.loads(r'"\ud83d\ude00 \\u0000"') == "😀 \\u0000"


def test_a_byte_order_mark_is_skipped():
    assert json.loads(b"\xef\xbb\xbf{}") == {}


@given(VALUES)
def test_what_is_written_reads_the_same(value):
    assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["\0", "\ud800", "a\0b\udfffc"])
def test_what_postgres_refuses_is_replaced(text):
    written = json.loads(json.dumps({text: [text]}))

    ((key, values),) = written.items()
    assert "\N{REPLACEMENT CHARACTER}" in key
    assert values == [key]


class Model(BaseModel):
    name: str
    score: float


@dataclass
class Plain:
    name: str


def test_models_dates_and_decimals_are_written():
    value = [Model(name="a", score=0.5), Plain("b"), datetime(2026, 1, 1, tzinfo=UTC), Decimal("1.5")]

    assert json.dumps(value) == b'[{"name":"a","score":0.5},{"name":"b"},"2026-01-01T00:00:00Z",1.5]'


def test_models_lose_what_postgres_refuses_too():
    assert json.dumps([Model(name="a\0", score=1), Plain("\ud800")]).count("\N{REPLACEMENT CHARACTER}".encode()) == 2


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [float("inf")],
        {"a": [None, float("-inf")]},
        Model(name="a", score=float("nan")),
        2**70,
        {1: 2},
        object(),
    ],
)
def test_what_has_no_json_form_is_refused(value):
    with pytest.raises(json.NotJson):
        json.dumps(value)
