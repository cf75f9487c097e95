from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common import yaml
from apps.common.errors import BadRequest, TooLarge
from tests.bounds import bounded

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("~", None),
        ("", None),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-31", "2026-01-31"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("1.2.3", "1.2.3"),
        ('"1"', "1"),
        ("!!str 5", "5"),
        ("9" * 500, "9" * 500),
    ],
)
def test_plain_values_mean_what_yaml_1_2_says(written, meant):
    value = yaml.loads(f"a: {written}")["a"]

    assert value == meant
    assert type(value) is type(meant)


def test_the_key_on_is_a_key():
    assert yaml.loads("on: error\n1: x\nnull: y") == {"on": "error", "1": "x", "null": "y"}


def test_an_alias_is_a_copy_of_its_anchor():
    value = yaml.loads("a: &a {x: [1]}\nb: *a")

    value["a"]["x"].append(2)
    assert value["b"] == {"x": [1]}


@pytest.mark.parametrize(
    ("document", "code", "pointer", "place"),
    [
        ("a: 1\na: 2", "duplicate_key", "/a", "line 2, column 1"),
        ("a: {b: [1, {c: 1, c: 2}]}", "duplicate_key", "/a/b/1/c", "line 1, column 19"),
        ("a: 1\n---\nb: 2", "multiple_documents", "", "line 2, column 1"),
        ("a: !!python/object:os.system x", "unknown_tag", "/a", "line 1, column 4"),
        ("a: !!timestamp 2026-01-01", "unknown_tag", "/a", "line 1, column 4"),
        ("a: .inf", "invalid_number", "/a", "line 1, column 4"),
        ("a: 99999999999999999999", "invalid_number", "/a", "line 1, column 4"),
        ('a: "\\0"', "nul_character", "/a", "line 1, column 4"),
        ('a: "\\ud800"', "invalid_yaml", "", "line 1, column 7"),
        ("a: [1", "invalid_yaml", "", "line 2, column 1"),
        ("<<: {a: 1}", "merge_key", "/<<", "line 1, column 1"),
        ("? [a]\n: b", "invalid_yaml", "", "line 1, column 3"),
        ("a: &a [*a]", "invalid_yaml", "/a/0", "line 1, column 8"),
        ("[" * 10_000 + "]" * 10_000, "nested_too_deep", "/0" * 100, "line 1, column 101"),
        ("- " * 10_000 + "x", "nested_too_deep", "/0" * 100, "line 1, column 201"),
        ("{a: " * 10_000, "nested_too_deep", "/a" * 100, "line 1, column 401"),
    ],
)
def test_a_fault_is_named_with_its_place(document, code, pointer, place):
    with pytest.raises(BadRequest, match=place) as caught:
        yaml.loads(document)

    assert caught.value.code == code
    assert [item.pointer for item in caught.value.errors] == [pointer]


@pytest.mark.parametrize(
    "document", ["a: \x01", "a: \ud800", "a: \0", b"\xff", "? " * 10_000, "%" * 100_000, "a\tb:\n\t- c"]
)
def test_what_is_no_yaml_is_refused(document):
    with pytest.raises(BadRequest):
        yaml.loads(document)


def test_nesting_by_aliases_counts_as_nesting():
    levels = [f"a{n}: &a{n} " + "[" * 60 + (f"*a{n - 1}" if n else "") + "]" * 60 for n in range(3)]

    with pytest.raises(BadRequest) as caught:
        yaml.loads("\n".join(levels))

    assert caught.value.code == "nested_too_deep"


def bomb() -> str:
    letters = "abcdefghi"
    doubling = [f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]" for a, b in pairwise(letters)]
    return "\n".join(["a: &a [" + ",".join("x" * 10) + "]", *doubling])


@pytest.mark.parametrize(
    "document",
    [
        bomb(),
        "- 1\n" * 1_000_000,
        "[" + "a: b, " * 200_000 + "]",
        "- {a: b, c: d, e: [1, 2, 3], f: 'xyz'}\n" * 50_000,
        "x" * (yaml.MAX_BYTES + 1),
    ],
)
@bounded
def test_what_is_too_large_is_refused(document):
    with pytest.raises(TooLarge):
        yaml.loads(document)


@given(VALUES)
def test_what_is_written_reads_the_same(value):
    assert yaml.loads(yaml.dumps(value)) == value


def test_writing_keeps_order_and_quotes_only_what_needs_it():
    value = {
        "name": "content analysis",
        "on": "error",
        "when": 'output.sentiment == "positive"',
        "input": "{{ inputs.text }}",
        "version": "1",
        "flag": "true",
        "text": "first\nsecond\n",
        "edges": [{"from": "a", "to": "b"}],
        "empty": {},
    }

    assert yaml.dumps(value) == (
        "name: content analysis\n"
        "on: error\n"
        'when: output.sentiment == "positive"\n'
        "input: '{{ inputs.text }}'\n"
        "version: '1'\n"
        "flag: 'true'\n"
        "text: |\n"
        "  first\n"
        "  second\n"
        "edges:\n"
        "  - from: a\n"
        "    to: b\n"
        "empty: {}\n"
    )
