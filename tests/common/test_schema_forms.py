import pytest
from django.http import QueryDict

from apps.common.errors import ErrorItem, Invalid
from apps.common.schema_forms import PREFIX, fields_of, read_value
from apps.common.schema_parts import table

SCHEMA = {
    "type": "object",
    "required": ["name", "level"],
    "properties": {
        "name": {"type": "string", "maxLength": 50, "title": "Your name"},
        "text": {"type": "string"},
        "level": {"enum": ["low", "high"], "default": "low"},
        "count": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}], "default": None},
        "ratio": {"type": "number", "default": 0.5},
        "urgent": {"type": "boolean", "default": True},
        "topics": {"type": "array", "items": {"type": "string"}},
        "channels": {"type": "array", "items": {"enum": ["mail", "chat"]}},
        "extra": {"$ref": "#/$defs/Anything"},
    },
    "$defs": {"Anything": {"type": "object", "properties": {"deep": {"type": "string"}}}},
}


def sent(**values):
    query = QueryDict(mutable=True)
    for name, value in values.items():
        query.setlist(f"{PREFIX}{name}", value if isinstance(value, list) else [value])
    return query


def test_each_property_becomes_a_field_that_suits_it():
    kinds = {field.name: field.kind for field in fields_of(SCHEMA)}

    assert kinds == {
        "name": "text",
        "text": "long",
        "level": "choice",
        "count": "number",
        "ratio": "number",
        "urgent": "flag",
        "topics": "lines",
        "channels": "several",
        "extra": "json",
    }


def test_a_field_knows_its_label_its_limits_and_whether_it_is_needed():
    name, _, _, count, *_ = fields_of(SCHEMA)

    assert (name.label, name.required, name.limits) == ("Your name", True, {"maxlength": "50"})
    assert (count.required, count.limits) == (False, {"min": "1", "max": "9", "step": "1"})


def test_defaults_are_filled_in():
    fields = {field.name: field for field in fields_of(SCHEMA)}

    assert fields["ratio"].shown == "0.5"
    assert [option.label for option in fields["level"].options if option.chosen] == ["low"]
    assert fields["urgent"].options[0].chosen


def test_what_was_sent_is_shown_again_with_what_is_wrong_with_it():
    faults = [ErrorItem("/count", "maximum", "12 is greater than the maximum of 9.")]

    count = fields_of(SCHEMA, sent(count="12"), faults)[3]

    assert (count.shown, count.errors) == ("12", ["12 is greater than the maximum of 9."])


def test_a_value_is_read_with_the_types_of_the_schema():
    value = read_value(
        SCHEMA,
        sent(
            name="Ada",
            level='"high"',
            count="3",
            ratio="0.25",
            urgent="true",
            topics=" a \r\n\r\nb",
            channels=['"mail"', '"chat"'],
            extra='{"deep": "x"}',
        ),
    )

    assert value == {
        "name": "Ada",
        "level": "high",
        "count": 3,
        "ratio": 0.25,
        "urgent": True,
        "topics": ["a", "b"],
        "channels": ["mail", "chat"],
        "extra": {"deep": "x"},
    }


def test_what_is_left_empty_and_not_needed_is_left_out():
    value = read_value(SCHEMA, sent(name="", text="", count="", level='"low"'))

    assert value == {"name": "", "level": "low", "urgent": False}


@pytest.mark.parametrize(
    ("name", "text"),
    [("count", "three"), ("count", "1.5"), ("ratio", "inf"), ("level", '"middle"'), ("extra", "{"), ("level", "low")],
)
def test_what_cannot_be_read_says_where(name, text):
    with pytest.raises(Invalid) as wrong:
        read_value(SCHEMA, sent(**{name: text}))

    assert [item.pointer for item in wrong.value.errors] == [f"/{name}"]


def test_a_schema_that_takes_anything_is_one_field_of_json():
    (field,) = fields_of({})

    assert (field.kind, read_value({}, sent(**{"": "[1, 2]"})), read_value({}, sent())) == ("json", [1, 2], None)


def test_an_object_without_properties_asks_for_nothing():
    assert fields_of({"type": "object", "properties": {}}) == []
    assert read_value({"type": "object", "properties": {}}, sent()) == {}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"properties": {"a": {"$ref": "https://example.com/x"}}},
        {"properties": {"a": True, "b": None, "c": {"type": ["string", "integer"]}}},
        {"properties": {"a": {"type": "array"}, "b": {"anyOf": "x", "enum": "y", "required": 3}}, "required": "a"},
    ],
)
def test_a_strange_schema_still_gives_a_form(schema):
    names = [field.name for field in fields_of(schema)]

    assert names == list(schema["properties"])
    assert read_value(schema, sent()) == {}
    assert [row.name for row in table(schema)] == names


def test_a_table_says_what_each_field_holds():
    rows = {row.name: (row.words, row.required, row.default, row.depth) for row in table(SCHEMA)}

    assert rows["name"] == ("text, at most 50 characters", True, None, 0)
    assert rows["level"] == ("one of low, high", True, "low", 0)
    assert rows["count"] == ("whole number, 1 to 9", False, None, 0)
    assert rows["channels"] == ("list of one of mail, chat", False, None, 0)
    assert rows["deep"] == ("text", False, None, 1)
