"""The prompts of roles, as organizations edit them: over HTTP, on pages, and from the command line."""

import json

import pytest
from django.core.management import CommandError, call_command
from django_scopes import scope

from apps.agents.models import RolePrompt
from apps.agents.roles.catalogue import LONGEST_PROMPT, ROLES, find_role
from apps.agents.services.definitions import NewerVersion
from apps.agents.services.roles import save_prompt
from apps.common.errors import DomainError

URL = "/v1/agent-roles/qa/prompt"
MINE = "You test what nobody else tests."


def put(actor, text=MINE, url=URL, **headers):
    return actor.client.put(url, {"prompt": text, "message": "Because."}, format="json", headers=headers)


def versions(actor):
    with scope(organization=actor.organization):
        return list(RolePrompt.objects.order_by("number").values_list("role", "number", "text"))


# ---- over HTTP ------------------------------------------------------------------------------------


def test_every_role_is_listed_with_whether_it_was_edited(alice):
    put(alice)

    listed = alice.client.get("/v1/agent-roles").json()["items"]

    assert {one["role"] for one in listed} == {role.name for role in ROLES}
    assert [one["role"] for one in listed if not one["is_built_in"]] == ["qa"]


@pytest.mark.parametrize("role", [role.name for role in ROLES])
def test_every_role_comes_with_a_prompt_that_says_what_it_answers(alice, role):
    shown = alice.client.get(f"/v1/agent-roles/{role}/prompt").json()

    assert shown["prompt"] == shown["built_in"]
    assert "What you answer:" in shown["prompt"]
    assert (shown["is_built_in"], shown["version"], shown["updated_at"]) == (True, 0, None)


def test_a_prompt_is_edited_and_set_back(alice):
    saved = put(alice)
    again = put(alice, f"{MINE}\r\n")
    reset = alice.client.delete(URL)
    shown = alice.client.get(URL).json()

    assert (saved.status_code, saved.json()["prompt"], saved.json()["version"]) == (200, MINE, 1)
    assert saved.json()["updated_by"] == f"key:ork_live_{alice.key.public_id}"
    assert again.json()["version"] == 1, "the same text is no edit"
    assert reset.status_code == 204
    assert (shown["prompt"], shown["is_built_in"]) == (find_role("qa").prompt, True)
    assert versions(alice) == [("qa", 1, MINE), ("qa", 2, None)]


def test_what_is_built_in_is_set_back_without_a_trace(alice):
    assert alice.client.delete(URL).status_code == 204
    assert versions(alice) == []


def test_the_edits_are_listed_the_newest_first(alice):
    put(alice, "One.")
    put(alice, "Two.")

    listed = alice.client.get(f"{URL}/versions").json()["items"]

    assert [(one["version"], one["prompt"], one["message"]) for one in listed] == [
        (2, "Two.", "Because."),
        (1, "One.", "Because."),
    ]


def test_an_edit_of_an_older_prompt_is_refused(alice):
    tag = alice.client.get(URL)["ETag"]
    assert put(alice, **{"If-Match": tag}).status_code == 200

    late = put(alice, "Hers.", **{"If-Match": tag})
    late_reset = alice.client.delete(URL, headers={"If-Match": tag})

    assert (late.status_code, late.json()["code"]) == (412, "stale_etag")
    assert late_reset.status_code == 412
    assert alice.client.get(URL).json()["prompt"] == MINE


def test_two_who_edit_the_same_version_do_not_both_win(alice):
    put(alice, "One.")
    with scope(organization=alice.organization):
        save_prompt(organization=alice.organization, role="qa", text="Two.", by="a", over=1)

        with pytest.raises(NewerVersion):
            save_prompt(organization=alice.organization, role="qa", text="Three.", by="b", over=1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"prompt": ""}, 400),
        ({"prompt": "  \n "}, 422),
        ({"prompt": None}, 400),
        ({"prompt": "x" * (LONGEST_PROMPT + 1)}, 400),
        ({"prompt": "a\0b"}, 400),
        ({"prompt": "Fine.", "promt": "x"}, 400),
    ],
)
def test_what_cannot_be_a_prompt_is_refused_at_its_place(alice, body, status):
    answer = alice.client.put(URL, body, format="json")

    assert answer.status_code == status, answer.content
    assert answer.json()["errors"][0]["pointer"] in {"/prompt", "/promt"}
    assert versions(alice) == []


def test_an_unknown_role_is_told_with_the_nearest(alice):
    answer = put(alice, url="/v1/agent-roles/coordinater/prompt")

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_role")
    assert "Did you mean 'coordinator'?" in answer.json()["detail"]


def test_the_older_name_of_a_role_means_the_same_prompt(alice):
    put(alice, url="/v1/agent-roles/researcher/prompt")

    assert alice.client.get("/v1/agent-roles/research/prompt").json()["prompt"] == MINE


def test_who_may_only_look_sees_the_prompt_and_changes_nothing(alice, bob):
    put(alice)

    assert bob.client.get(URL).json()["prompt"] == MINE
    assert put(bob, "Bob's.").status_code == 403
    assert bob.client.delete(URL).status_code == 403
    assert alice.client.get(URL).json()["prompt"] == MINE


def test_another_organization_has_prompts_of_its_own(alice, charlie):
    put(alice)

    assert charlie.client.get(URL).json()["is_built_in"] is True
    assert charlie.client.get(f"{URL}/versions").json()["items"] == []
    assert put(charlie, "Charlie's.").json()["version"] == 1
    assert alice.client.get(URL).json()["prompt"] == MINE


# ---- pages ----------------------------------------------------------------------------------------


def page(client, path):
    return client.get(path).content.decode()


def test_the_roles_are_reached_from_the_agents(browser):
    assert 'href="/agent-roles"' in page(browser.viewer, "/agents")
    assert 'href="/agent-roles/qa"' in page(browser.viewer, "/agent-roles")
    assert 'href="/agent-roles/researcher"' in page(browser.owner, "/agents/researcher")
    assert "/agent-roles/" not in page(browser.owner, "/agents/echo")


def test_a_prompt_is_edited_on_its_page_beside_the_built_in_one(browser, alice):
    saved = browser.owner.post("/agent-roles/qa", {"prompt": MINE, "over": "0", "message": "Because."})
    shown = page(browser.owner, "/agent-roles/qa")

    assert (saved.status_code, saved["Location"]) == (302, "/agent-roles/qa")
    assert versions(alice) == [("qa", 1, MINE)]
    assert MINE in shown
    assert "You are the quality engineer of a team." in shown
    assert f"+{MINE}" in shown, "what differs is shown"


def test_a_prompt_is_set_back_on_its_page_and_an_older_one_opened_again(browser, alice):
    put(alice)

    browser.owner.post("/agent-roles/qa/reset")

    assert alice.client.get(URL).json()["is_built_in"] is True
    assert f"\n{MINE}</textarea>" in page(browser.owner, "/agent-roles/qa?version=1")


def test_who_was_too_late_keeps_what_they_typed_and_sees_the_other_one(browser, alice):
    put(alice, "Hers, saved meanwhile.")

    late = browser.owner.post("/agent-roles/qa", {"prompt": "Mine.", "over": "0"})
    shown = late.content.decode()

    assert late.status_code == 422
    assert "\nMine.</textarea>" in shown
    assert "+Hers, saved meanwhile." in shown
    assert 'name="over" value="1"' in shown, "saving again is over what was shown"


def test_a_prompt_that_cannot_be_is_told_on_the_page(browser):
    refused = browser.owner.post("/agent-roles/qa", {"prompt": " ", "over": "0"})

    assert refused.status_code == 422
    assert "The prompt is empty." in refused.content.decode()


def test_the_page_of_a_prompt_is_for_those_who_may(browser, alice):
    put(alice)

    assert "<textarea" not in page(browser.viewer, "/agent-roles/qa")
    assert browser.viewer.post("/agent-roles/qa", {"prompt": "Bob's."}).status_code == 403
    assert browser.viewer.post("/agent-roles/qa/reset").status_code == 403
    assert MINE not in page(browser.stranger, "/agent-roles/qa")
    assert browser.owner.get("/agent-roles/nobody").status_code == 404
    assert browser.owner.get("/agent-roles/qa?version=7").status_code == 404


# ---- the command line -----------------------------------------------------------------------------


@pytest.fixture
def manage(capsys, alice):
    def manage(*arguments):
        call_command("agents", *arguments)
        return capsys.readouterr().out

    return manage


def test_the_command_line_shows_changes_and_resets_a_prompt(manage, alice, tmp_path):
    (tmp_path / "qa.md").write_text(MINE)

    before = manage("prompt", "qa")
    changed = manage("prompt", "qa", "--file", str(tmp_path / "qa.md"), "--message", "Because.")
    shown = json.loads(manage("prompt", "qa", "--json"))
    reset = manage("prompt", "qa", "--reset")

    assert before.strip() == find_role("qa").prompt
    assert "version 1" in changed
    assert (shown["prompt"], shown["version"]) == (MINE, 1)
    assert "built-in" in reset
    assert "qa" in manage("roles")
    assert versions(alice) == [("qa", 1, MINE), ("qa", 2, None)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prompt", "qaa"], "Did you mean 'qa'"),
        (["prompt", "qa", "--file", "/does/not/exist"], "cannot be read"),
        (["prompt", "qa", "--file", "x", "--reset"], "either --file or --reset"),
    ],
)
def test_mistakes_are_explained(manage, arguments, message):
    with pytest.raises((DomainError, CommandError), match=message):
        manage(*arguments)
