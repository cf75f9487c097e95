"""Setting up providers and models over the API: whoever may, and no key ever comes back."""

from typing import Any

import pytest
from django_scopes import scope, scopes_disabled

from apps.common.errors import NotFound
from apps.integrations.language_models.resolving import resolve
from apps.integrations.models import ModelProvider, ModelSetting, Secret
from apps.integrations.services import secrets
from apps.observability.models import Budget, Usage
from tests.fixtures import Actor, Guard
from tests.language_models.chat_server import Answer, ChatServer
from tests.language_models.conftest import KEY, Desk

OTHER_KEY = "sk-other-9876543210zyxw"
OWN = {"kind": "openai_compatible", "name": "local", "base_url": "http://127.0.0.1:9/v1", "key": KEY}


def post(actor: Actor, path: str, body: Any, **headers: str) -> Any:
    return actor.client.post(path, body, format="json", headers=headers)


def patch(actor: Actor, path: str, body: Any, **headers: str) -> Any:
    return actor.client.patch(path, body, format="json", headers=headers)


@pytest.fixture
def local(alice: Actor) -> str:
    assert post(alice, "/v1/model-providers", OWN).status_code == 201
    return "/v1/model-providers/local"


def model(alice: Actor, name: str, **fields: Any) -> Any:
    return post(alice, "/v1/models", {"name": name, "provider": "local", "model": "m", **fields})


def faults(answer: Any) -> list[tuple[str, str]]:
    return [(one["pointer"], one["code"]) for one in answer.json()["errors"]]


# ---- providers --------------------------------------------------------------------------------------


def test_a_key_goes_in_and_only_its_end_comes_out(alice: Actor) -> None:
    answer = post(alice, "/v1/model-providers", {"kind": "anthropic", "key": f" {KEY} "})

    assert answer.status_code == 201
    assert answer.json() | {"id": "", "created_at": "", "key_changed_at": ""} == {
        "id": "",
        "name": "anthropic",
        "kind": "anthropic",
        "label": "Anthropic",
        "base_url": None,
        "hint": "****cdef",
        "key_changed_at": "",
        "models": [],
        "created_at": "",
        "url": "/v1/model-providers/anthropic",
    }
    everything = (
        alice.client.get("/v1/model-providers").content + alice.client.get("/v1/model-providers/anthropic").content
    )
    assert KEY.encode() not in everything
    with scope(organization=alice.organization):
        assert secrets.opened(Secret.objects.get()) == KEY


def test_a_second_provider_of_a_kind_gets_a_number(alice: Actor) -> None:
    names = [post(alice, "/v1/model-providers", {"kind": "openai", "key": KEY}).json()["name"] for _ in range(2)]

    assert names == ["openai", "openai-2"]
    assert post(alice, "/v1/model-providers", {"kind": "openai", "name": "openai", "key": KEY}).status_code == 409


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"kind": "opnai", "key": KEY}, "/kind", "unknown_kind"),
        ({"kind": "openai"}, "/key", "required"),
        ({"kind": "openai", "key": "two\nlines"}, "/key", "invalid"),
        ({"kind": "openai_compatible"}, "/base_url", "required"),
        ({"kind": "openai_compatible", "base_url": "ftp://x/v1"}, "/base_url", "invalid"),
        ({"kind": "openai_compatible", "base_url": "http://me:secret@x/v1"}, "/base_url", "invalid"),
        ({"kind": "openai", "key": KEY, "name": "a/b"}, "/name", "invalid"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(alice: Actor, body: Any, pointer: str, code: str) -> None:
    answer = post(alice, "/v1/model-providers", body)

    assert (answer.status_code, faults(answer)) == (422, [(pointer, code)])
    assert KEY not in answer.content.decode()
    with scopes_disabled():
        assert not ModelProvider.objects.exists()
        assert not Secret.objects.exists()


def test_the_nearest_kind_is_named(alice: Actor) -> None:
    answer = post(alice, "/v1/model-providers", {"kind": "anthropc", "key": KEY})

    assert "Did you mean 'anthropic'" in answer.json()["detail"]


def test_a_kind_that_only_litellm_knows_will_do(alice: Actor) -> None:
    assert post(alice, "/v1/model-providers", {"kind": "perplexity", "key": KEY}).status_code == 201


def test_another_key_takes_the_place_of_the_first(alice: Actor, local: str) -> None:
    answer = patch(alice, local, {"key": OTHER_KEY})

    assert answer.json()["hint"] == "****zyxw"
    with scope(organization=alice.organization):
        assert [secrets.opened(one) for one in Secret.objects.all()] == [OTHER_KEY]
    assert patch(alice, local, {"key": None}).json()["hint"] is None
    with scope(organization=alice.organization):
        assert not Secret.objects.exists()


def test_a_key_is_not_sent_to_another_address_than_it_was_entered_for(alice: Actor, local: str) -> None:
    moved = {"base_url": "https://elsewhere.example/v1"}

    answer = patch(alice, local, moved)

    assert (answer.status_code, faults(answer)) == (422, [("/key", "key_needed_again")])
    assert patch(alice, local, {**moved, "key": OTHER_KEY}).json()["base_url"] == moved["base_url"]


def test_a_change_over_somebody_elses_is_refused(alice: Actor, local: str) -> None:
    seen = alice.client.get(local)["ETag"]
    assert patch(alice, local, {"key": OTHER_KEY}, **{"If-Match": seen}).status_code == 200

    assert patch(alice, local, {"key": KEY}, **{"If-Match": seen}).status_code == 412
    assert alice.client.delete(local, headers={"If-Match": seen}).status_code == 412
    assert alice.client.get(local, headers={"If-None-Match": alice.client.get(local)["ETag"]}).status_code == 304


def test_a_repeated_key_adds_one_provider(alice: Actor) -> None:
    first, second = (post(alice, "/v1/model-providers", OWN, **{"Idempotency-Key": "k1"}) for _ in range(2))

    assert first.json() == second.json()
    assert second["Idempotent-Replayed"] == "true"


def test_a_provider_that_models_use_is_deleted_only_with_them(alice: Actor, local: str) -> None:
    model(alice, "smart")
    model(alice, "quick", fallbacks=["smart"])

    refused = alice.client.delete(local)

    assert (refused.status_code, refused.json()["used_by"]) == (409, ["quick", "smart"])
    assert alice.client.delete(f"{local}?with_models=true").status_code == 204
    with scope(organization=alice.organization):
        assert not ModelSetting.objects.exists()
        assert not Secret.objects.exists()


def test_a_provider_stays_while_something_else_asks_its_models(alice: Actor, local: str) -> None:
    post(alice, "/v1/model-providers", {"kind": "openai", "key": KEY})
    post(alice, "/v1/models", {"name": "main", "provider": "openai", "model": "gpt-4o", "fallbacks": ["local/m"]})
    with scope(organization=alice.organization):
        Budget.objects.create(
            organization=alice.organization,
            name="cap",
            scope="organization",
            limit_micro_usd=1,
            at_cap="cheaper",
            cheaper_model="local/small",
        )

    refused = alice.client.delete(f"{local}?with_models=true")

    assert (refused.status_code, refused.json()["used_by"]) == (409, ["budget cap", "main"])


def test_who_may_see_and_change_providers_and_models(alice: Actor, local: str, guard: Guard) -> None:
    model(alice, "smart")

    for path in (local, "/v1/models/smart"):
        guard("get", path)
    guard("patch", local, {"key": OTHER_KEY}, needs="manage")
    guard("patch", "/v1/models/smart", {"seconds": 5}, needs="manage")
    guard("delete", "/v1/models/smart", needs="manage")
    guard("delete", local, needs="manage")


def test_another_organization_neither_sees_nor_asks_them(alice: Actor, charlie: Actor, local: str) -> None:
    model(alice, "smart")

    listed = [one["name"] for one in charlie.client.get("/v1/models").json()["items"]]
    assert "smart" not in listed
    assert charlie.client.get("/v1/model-providers").json()["items"] == []
    assert post(charlie, "/v1/models/smart/test", None).status_code == 404
    stolen = post(charlie, "/v1/models", {"name": "mine", "provider": "local", "model": "m"})
    assert faults(stolen) == [("/provider", "unknown_provider")]


# ---- models -----------------------------------------------------------------------------------------


def test_the_list_has_what_is_set_up_and_what_code_brings(alice: Actor, local: str) -> None:
    def default() -> list[str]:
        return [one["name"] for one in alice.client.get("/v1/models").json()["items"] if one["is_default"]]

    assert default() == ["demo/scripted"]
    model(alice, "smart", is_default=True, input_price="0.15", output_price="0.6")
    model(alice, "quick", is_default=True)

    listed = {one["name"]: one for one in alice.client.get("/v1/models").json()["items"]}
    assert default() == ["quick"]
    own = {"input_usd": "0.15", "cached_usd": None, "output_usd": "0.60", "source": "own"}
    assert listed["smart"]["price"] == own
    assert listed["quick"]["price"] is None
    assert listed["demo/scripted"]["price"]["source"] == "free"
    assert listed["demo/scripted"]["is_demo"]


def test_a_known_price_says_where_it_comes_from(alice: Actor) -> None:
    post(alice, "/v1/model-providers", {"kind": "openai", "key": KEY})

    shown = alice.client.get("/v1/models/openai/gpt-4o-mini").json()

    assert (shown["source"], shown["price"]["source"], shown["price"]["input_usd"]) == ("provider", "list", "0.15")


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"fallbacks": ["nobody"]}, "/fallbacks/0", "unknown_model"),
        ({"fallbacks": ["new"]}, "/fallbacks/0", "circle"),
        ({"fallbacks": ["second"]}, "/fallbacks/0", "circle"),
        ({"fallbacks": ["local/m", "default"]}, "/fallbacks/1", "invalid"),
        ({"fallbacks": ["local/m", "local/m"]}, "/fallbacks/1", "invalid"),
        ({"options": [1]}, "/options", "not_an_object"),
        ({"options": {"messages": []}}, "/options", "invalid"),
        ({"input_price": "1"}, "/output_price", "invalid"),
        ({"cached_price": "1"}, "/input_price", "invalid"),
    ],
)
def test_what_a_model_cannot_have_is_refused(alice: Actor, local: str, fields: Any, pointer: str, code: str) -> None:
    model(alice, "new")
    model(alice, "first", fallbacks=["new"])
    model(alice, "second", fallbacks=["local/x", "first"])

    answer = patch(alice, "/v1/models/new", fields)

    assert (answer.status_code, faults(answer)) == (422, [(pointer, code)])


def test_a_circle_is_told_step_by_step(alice: Actor, local: str) -> None:
    model(alice, "a")
    model(alice, "b", fallbacks=["a"])

    assert "a → b → a" in patch(alice, "/v1/models/a", {"fallbacks": ["b"]}).json()["detail"]


@pytest.mark.parametrize("name", ["default", "demo/scripted", "with space", "a/b", "-x"])
def test_some_names_mean_something_else(alice: Actor, local: str, name: str) -> None:
    assert model(alice, name).status_code == 422


def test_a_model_that_is_a_fallback_stays(alice: Actor, local: str) -> None:
    model(alice, "smart")
    model(alice, "quick", fallbacks=["smart"])

    assert alice.client.delete("/v1/models/smart").json()["used_by"] == ["quick"]
    assert patch(alice, "/v1/models/quick", {"fallbacks": []}).status_code == 200
    assert alice.client.delete("/v1/models/smart").status_code == 204
    assert alice.client.get("/v1/models/smart").status_code == 404


def test_a_price_may_go_back_to_what_is_known(alice: Actor, local: str) -> None:
    model(alice, "smart", input_price="1.5", output_price="2", options={"temperature": 0.1})
    none = {"input_price": None, "output_price": None, "cached_price": None}

    assert patch(alice, "/v1/models/smart", none).json()["price"] is None


# ---- trying one -------------------------------------------------------------------------------------


def test_a_trial_gives_the_answer_with_its_figures(desk: Desk, server: ChatServer, alice: Actor) -> None:
    setting = {"input_price": 1, "output_price": 10, "fallbacks": ["demo/scripted"], "cache_seconds": 60}
    desk.setting(desk.provider(server), **setting)

    answers = [post(alice, "/v1/models/smart/test", None).json() for _ in range(2)]

    for answer in answers:
        assert answer | {"seconds": 0, "first_token_seconds": 0} == {
            "status": "answered",
            "model": "smart",
            "served_by": "local/m",
            "is_demo": False,
            "text": "Hello",
            "seconds": 0,
            "first_token_seconds": 0,
            "input_tokens": 11,
            "output_tokens": 7,
            "is_priced": True,
            "cost_usd": "0.000081",
            "cost_micro_usd": 81,
            "error": None,
        }
    assert server.asked[0]["max_tokens"] == 256
    assert [one.caller for one in desk.usage()] == [f"key:ork_live_{alice.key.public_id}"] * 2, "and no cache"


def test_a_trial_under_a_key_asks_once(desk: Desk, server: ChatServer, alice: Actor) -> None:
    desk.setting(desk.provider(server))

    first, second = (post(alice, "/v1/models/smart/test", None, **{"Idempotency-Key": "t"}) for _ in range(2))

    assert first.json() == second.json()
    assert len(server.asked) == 1


def test_a_trial_that_fails_says_why_and_asks_nobody_else(desk: Desk, server: ChatServer, alice: Actor) -> None:
    server.answer = lambda _: Answer(status=401, error={"error": {"message": "Incorrect API key"}})
    desk.setting(desk.provider(server), fallbacks=["demo/scripted"])

    answer = post(alice, "/v1/models/local/m/test", None).json()

    assert (answer["status"], answer["error"]["code"]) == ("failed", "key_refused")
    assert "Incorrect API key. Check the provider's key under Settings, Models." in answer["error"]["message"]
    assert [one.outcome for one in desk.usage()] == [Usage.Outcome.FAILED]


def test_an_address_that_is_not_allowed_says_what_allows_it(
    desk: Desk, server: ChatServer, alice: Actor, settings: Any
) -> None:
    desk.setting(desk.provider(server))
    settings.ORCHESTRA_EGRESS_ALLOW = frozenset()

    error = post(alice, "/v1/models/smart/test", None).json()["error"]

    assert error["code"] == "egress_refused"
    assert "ORCHESTRA_EGRESS_ALLOW" in error["message"]


def test_the_demo_model_can_be_tried_too(desk: Desk, alice: Actor) -> None:
    answer = post(alice, "/v1/models/demo/scripted/test", None).json()

    assert (answer["status"], answer["is_demo"], answer["cost_usd"]) == ("answered", True, "0.00")


def test_a_viewer_tries_no_model(bob: Actor) -> None:
    assert post(bob, "/v1/models/demo/scripted/test", None).status_code == 403


def test_nothing_of_another_organization_answers_to_a_name(alice: Actor, charlie: Actor) -> None:
    places = {alice: "http://127.0.0.1:9/v1", charlie: "http://127.0.0.1:10/v1"}
    for actor, url in places.items():
        assert post(actor, "/v1/model-providers", {**OWN, "base_url": url}).status_code == 201

    for actor, url in places.items():
        found: Any = resolve(actor.organization.pk, "local/m").model
        assert (found.base_url, found.key) == (url, KEY)

    charlie.client.delete("/v1/model-providers/local")
    with pytest.raises(NotFound):
        resolve(charlie.organization.pk, "local/m")
