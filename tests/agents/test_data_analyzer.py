import json
import math
import statistics

import pytest

from apps.agents.context import LocalContext
from apps.agents.runtime import run_agent
from apps.common.errors import Fatal
from apps.common.json import dumps
from tests.bounds import bounded

PEOPLE = "name,age,joined\nAna,30,2024-01-02\nBo,41,2024-03-01\nCy,,2023-01-01\n"
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 18}},
    "required": ["name", "age"],
}


def validate(data, **more):
    return run_agent("data_analyzer", {"task_type": "data_validation", "data": data, **more}, LocalContext()).output


def analyse(data):
    return run_agent("data_analyzer", {"task_type": "statistical_analysis", "data": data}, LocalContext()).output


# Reading


@pytest.mark.parametrize(
    "data",
    [
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        {"a": [1, 2], "b": ["x", "y"]},
        [["a", "b"], [1, "x"], [2, "y"]],
        "a,b\n1,x\n2,y",
        "a;b\r\n1;x\r\n2;y\r\n",
        "\ufeffa\tb\n1\tx\n2\ty\n",
        '[{"a": 1, "b": "x"}, {"a": "2", "b": "y"}]',
        '{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n',
    ],
)
def test_a_table_is_read_in_many_forms(data):
    assert validate(data)["clean_data"] == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_a_plain_list_is_one_column():
    assert validate([1, "2", 3.5])["clean_data"] == [{"value": 1}, {"value": 2}, {"value": 3.5}]


def test_one_record_is_a_table_of_one_row():
    assert validate({"a": 1, "b": [1]})["clean_data"] == [{"a": 1, "b": [1]}]


@pytest.mark.parametrize("data", [[], {}, "", "a,b", "[]", {"a": []}])
def test_an_empty_table_is_valid(data):
    output = validate(data)

    assert (output["clean_data"], output["valid"], output["row_count"]) == ([], True, 0)
    assert analyse(data)["row_count"] == 0


@pytest.mark.parametrize("data", [5, None, True, "[1,", '{"a": 1', '{"a": 1}\n{"a"}', "x" * 200_000])
def test_what_is_no_table_is_a_final_error(data):
    with pytest.raises(Fatal) as caught:
        validate(data)

    assert caught.value.code == "invalid_input"
    assert caught.value.errors[0].pointer == "/data"


def test_headers_get_names_of_their_own():
    assert validate("a,,a\n1,2,3")["clean_data"] == [{"a": 1, "column_2": 2, "a_2": 3}]


# Validation


def test_text_becomes_values_of_the_inferred_types():
    output = validate(PEOPLE)

    assert output["clean_data"][0] == {"name": "Ana", "age": 30, "joined": "2024-01-02"}
    assert output["clean_data"][2]["age"] is None
    assert output["valid"] is True
    assert output["schema"]["properties"] == {
        "name": {"type": "string"},
        "age": {"type": ["integer", "null"]},
        "joined": {"type": "string", "format": "date"},
    }
    assert output["schema"]["required"] == ["name", "joined"]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", " 2 ", "-3"], [1, 2, -3]),
        (["1", "2.5", "3e2"], [1, 2.5, 300.0]),
        (["1,000", "2,500.5", "3"], [1000.0, 2500.5, 3]),
        (["007", "0815", "12"], ["007", "0815", "12"]),
        (["true", "False", "YES"], [True, False, True]),
        (["N/A", "1", "2"], [None, 1, 2]),
        (["9" * 30, "1", "2"], [float("9" * 30), 1, 2]),
        (["1_000", "2", "x"], ["1_000", "2", "x"]),
    ],
)
def test_what_looks_like_a_value_is_one(cells, values):
    assert [row["a"] for row in validate([{"a": cell, "b": 1} for cell in cells])["clean_data"]] == values


def test_a_cell_of_another_type_makes_its_row_invalid():
    output = validate("name,age\nAna,30\nBo,forty\nCy,41\nDi,29")

    assert output["valid"] is False
    assert output["invalid_rows"] == [{"row": 2, "column": "age", "message": "'forty' is not a whole number"}]
    assert [row["name"] for row in output["clean_data"]] == ["Ana", "Cy", "Di"]
    assert (output["row_count"], output["clean_row_count"], output["invalid_row_count"]) == (4, 3, 1)


def test_a_row_that_is_too_long_is_invalid_and_a_short_one_has_gaps():
    output = validate("a,b\n1,2\n1,2,3,4\n1\n")

    assert output["invalid_rows"] == [{"row": 2, "column": None, "message": "has 2 more cells than the header"}]
    assert output["clean_data"] == [{"a": 1, "b": 2}, {"a": 1, "b": None}]


def test_empty_rows_go():
    assert validate("a,b\n1,2\n,\n3,4")["clean_row_count"] == 2


@pytest.mark.parametrize("schema", [PERSON, {"type": "array", "items": PERSON}])
def test_a_given_schema_decides(schema):
    rows = [
        {"name": "Ana", "age": "30"},
        {"name": "Bo", "age": "x"},
        {"name": "Cy", "age": 3},
        {"name": "Di", "age": ""},
    ]

    output = validate(rows, schema=schema)

    assert output["clean_data"] == [{"name": "Ana", "age": 30}]
    assert [(failure["row"], failure["column"]) for failure in output["invalid_rows"]] == [
        (2, "age"),
        (3, "age"),
        (4, None),
    ]
    assert "minimum of 18" in output["invalid_rows"][1]["message"]
    assert output["schema"] == schema


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"$ref": "http://127.0.0.1:9/x"}, {"$ref": "file:///etc/passwd"}, {"pattern": "("}]
)
def test_a_schema_that_cannot_be_used_is_a_final_error(schema):
    with pytest.raises(Fatal) as caught:
        validate([{"a": 1}], schema=schema)

    assert caught.value.errors[0].pointer == "/schema"


@bounded
def test_a_pattern_cannot_hold_the_worker():
    output = validate([{"a": "a" * 50_000 + "!"}], schema={"properties": {"a": {"pattern": "^(a+)+$"}}})

    assert output["valid"] is False
    assert len(output["invalid_rows"][0]["message"]) <= 300


# Statistics


def test_the_figures_of_a_column_of_numbers():
    values = [3, 1, 4, 1, 5, 9, 2, 6]

    stats = analyse([{"n": value} for value in [*values, None]])["stats"]["n"]

    assert stats == {
        "type": "integer",
        "count": 8,
        "missing": 1,
        "mean": pytest.approx(statistics.mean(values)),
        "median": 3.5,
        "stdev": pytest.approx(statistics.stdev(values)),
        "min": 1,
        "max": 9,
        "sum": 31.0,
        "quartiles": statistics.quantiles(values, n=4, method="inclusive"),
    }


def test_the_figures_of_other_columns():
    output = analyse(PEOPLE + "Ana,30,2025-01-01\n")

    assert output["row_count"] == 4
    assert output["stats"]["name"] == {
        "type": "string",
        "count": 4,
        "missing": 0,
        "unique": 3,
        "top": "Ana",
        "top_count": 2,
    }
    assert (output["stats"]["joined"]["min"], output["stats"]["joined"]["max"]) == ("2023-01-01", "2025-01-01")


def test_cells_of_another_type_are_counted_apart():
    assert analyse([1, 2, 3, "x"])["stats"]["value"]["invalid"] == 1


@pytest.mark.parametrize(
    "data", [[5], [1e308, 1e308, -1e308], [None], [True, False], [[1], [1]], [{"a": {"b": 1}}, {"a": 2}]]
)
def test_odd_data_have_figures_that_json_can_hold(data):
    written = dumps(analyse(data))

    assert all(
        math.isfinite(number) for number in json.loads(written, parse_constant=pytest.fail) if isinstance(number, float)
    )


def test_the_clean_data_can_be_analysed():
    output = analyse(validate(PEOPLE)["clean_data"])

    assert output["stats"]["age"]["mean"] == 35.5


def test_an_unknown_task_type_names_the_nearest():
    with pytest.raises(Fatal, match="Did you mean 'data_validation'"):
        run_agent("data_analyzer", {"task_type": "validation", "data": []}, LocalContext())


def test_large_tables_are_bounded():
    with pytest.raises(Fatal, match="at most 100000"):
        validate([1] * 100_001)
    with pytest.raises(Fatal, match="at most 1000"):
        validate([{str(number): 1 for number in range(1001)}])
