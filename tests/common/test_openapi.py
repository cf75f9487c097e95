import json
import warnings

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from apps.common.openapi import singular

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def schema():
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence(), warnings.catch_warnings():
        return SchemaGenerator().get_schema(request=None, public=True)


def operations(schema):
    return [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_the_document_is_made_without_a_warning(schema):
    complaints = [*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache]

    assert complaints == []


def test_the_document_is_openapi_3_1(schema):
    assert schema["openapi"] == "3.1.0"
    validate_schema(schema)


def test_every_operation_has_a_name_of_its_own_and_a_summary(schema):
    names = [operation["operationId"] for _, _, operation in operations(schema)]

    assert len(names) == len(set(names))
    assert all(name.replace("_", "").isalnum() and name == name.lower() for name in names)
    assert all(operation.get("summary") for _, _, operation in operations(schema))


@pytest.mark.parametrize("code", ["400", "404", "409", "422", "429"])
def test_every_operation_says_how_it_fails(schema, code):
    for path, method, operation in operations(schema):
        assert code in operation["responses"], (path, method)


def test_every_operation_but_signing_in_needs_a_key_a_token_or_a_session(schema):
    open_paths = {path for path, _, operation in operations(schema) if {} in operation.get("security", [{}])}

    assert open_paths <= {
        "/v1/auth/token",
        "/v1/auth/token/refresh",
        "/v1/auth/token/revoke",
        "/health",
        "/ready",
        "/v1/health",
        "/v1/ready",
    }
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_declared_parameters_are_described(schema):
    parameters = {one["name"]: one for one in schema["paths"]["/v1/api-keys"]["get"]["parameters"]}

    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert {"cursor", "sort", "Orchestra-Organization"} <= set(parameters)


def test_the_document_is_for_everybody_and_cached_by_its_etag(client, db):
    first = client.get("/v1/openapi.json")
    second = client.get("/v1/openapi.json", headers={"If-None-Match": first["ETag"]})

    assert json.loads(first.content)["info"]["title"] == "Orchestra"
    assert (second.status_code, second.content) == (304, b"")


@pytest.mark.parametrize("address", ["/v1/docs", "/docs", "/v1/redoc", "/redoc"])
def test_the_pages_run_nothing_inline_and_load_nothing_from_elsewhere(client, db, address):
    answer = client.get(address)
    page = answer.content.decode()

    assert answer.status_code == 200
    assert "script-src 'self';" in answer["Content-Security-Policy"]
    assert "https://" not in page
    assert page.count("<script") == page.count("<script src=")


def test_the_pages_start_from_a_script_of_their_own(client, db):
    answer = client.get("/v1/docs?script=")

    assert answer["Content-Type"].startswith("application/javascript")
    assert "/v1/openapi.json" in answer.content.decode()


@pytest.mark.parametrize(
    ("word", "one"),
    [("runs", "run"), ("api_keys", "api_key"), ("entries", "entry"), ("access", "access"), ("me", "me")],
)
def test_names_are_made_of_singulars(word, one):
    assert singular(word) == one
