"""Agents made of a prompt over HTTP: saving, versions, files, and who may do what."""

import pytest

URL = "/v1/agent-definitions"
WRITER = {"instructions": "You write.", "tools": ["demo.search"], "limits": {"turns": 5}}


def save(actor, name="writer", agent=None, **headers):
    body = {"name": name, "agent": WRITER if agent is None else agent, "message": "Because."}
    return actor.client.post(URL, body, format="json", headers=headers)


def faults(answer):
    assert answer.status_code == 422, answer.data
    return {(error["pointer"], error["code"]) for error in answer.json()["errors"]}


def test_an_agent_is_made_and_changed_in_versions(alice):
    made = save(alice)
    same = save(alice)
    changed = save(alice, agent={"instructions": "You write well."})

    assert (made.status_code, made.json()["version"]) == (201, 1)
    assert (same.status_code, same.json()["version"]) == (200, 1)
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert changed.json()["created_by"] == f"key:ork_live_{alice.key.public_id}"
    listed = alice.client.get(f"{URL}/writer/versions").json()["items"]
    assert [(one["version"], one["message"]) for one in listed] == [(2, "Because."), (1, "Because.")]


def test_what_stands_as_it_is_by_default_is_not_written_down(alice):
    made = save(alice, agent={**WRITER, "model": "default", "guardrails": {"pii": "off"}})

    assert made.json()["agent"] == {
        "instructions": "You write.",
        "tools": [{"tool": "demo.search"}],
        "limits": {"turns": 5},
    }


def test_every_fault_is_told_at_its_place(alice):
    unreadable = save(
        alice, agent={"limits": {"turns": 0}, "tools": [{"tool": "x", "approval": "perhaps"}], "modle": "m"}
    )
    nameless = save(
        alice,
        agent={
            "tools": ["demo.serach"],
            "agents": ["writer", "nobody"],
            "handoffs": ["assistent"],
            "workflows": ["nothing"],
            "model": "gpt-0",
            "guardrails": {"judge": {"question": "Good?", "model": "judge-dredd"}},
        },
    )

    assert faults(unreadable) == {
        ("/agent/limits/turns", "greater_than_equal"),
        ("/agent/tools/0/approval", "literal_error"),
        ("/agent/modle", "extra_forbidden"),
    }
    assert faults(nameless) == {
        ("/agent/tools/0/tool", "unknown_tool"),
        ("/agent/agents/0", "unknown_agent"),  # itself
        ("/agent/agents/1", "unknown_agent"),
        ("/agent/handoffs/0", "unknown_agent"),
        ("/agent/workflows/0", "unknown_workflow"),
        ("/agent/model", "unknown_model"),
        ("/agent/guardrails/judge/model", "unknown_model"),
    }
    assert "demo.search" in next(one["message"] for one in nameless.json()["errors"] if "tools" in one["pointer"])


def test_a_schema_that_is_none_is_a_fault_at_its_place(alice):
    assert faults(save(alice, agent={"output_schema": {"type": "objekt"}})) == {("/agent/output_schema", "value_error")}


@pytest.mark.parametrize("name", ["", "9lives", "a b", "ä", "x" * 101, "a/b"])
def test_a_name_that_cannot_be_used_is_refused(alice, name):
    answer = save(alice, name)

    assert answer.status_code in {400, 422}
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/name"]


def test_the_name_of_an_agent_that_is_there_for_everybody_is_taken(alice):
    answer = save(alice, "assistant")

    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_an_edit_of_an_older_version_is_refused(alice):
    save(alice)
    tag = alice.client.get(f"{URL}/writer")["ETag"]
    assert save(alice, agent={"instructions": "Mine."}, **{"If-Match": tag}).status_code == 200

    late = save(alice, agent={"instructions": "Hers."}, **{"If-Match": tag})

    assert (late.status_code, late.json()["code"]) == (412, "stale_etag")
    assert alice.client.get(f"{URL}/writer").json()["agent"] == {"instructions": "Mine."}


def test_an_edit_of_what_is_gone_makes_nothing_new(alice):
    save(alice)
    tag = alice.client.get(f"{URL}/writer")["ETag"]
    alice.client.delete(f"{URL}/writer")

    assert save(alice, **{"If-Match": tag}).status_code == 412
    assert alice.client.get(f"{URL}/writer").status_code == 404


def test_the_second_click_saves_nothing_twice(alice):
    first = save(alice, **{"Idempotency-Key": "k"})
    second = save(alice, **{"Idempotency-Key": "k"})
    other = save(alice, agent={"instructions": "Else."}, **{"Idempotency-Key": "k"})

    assert (first.status_code, second.status_code) == (201, 201)
    assert second["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_versions_stay_and_an_old_one_can_be_saved_again(alice):
    save(alice)
    save(alice, agent={"instructions": "Worse."})

    old = alice.client.get(f"{URL}/writer/versions/1").json()
    again = save(alice, agent=old["agent"])

    assert (again.json()["version"], again.json()["agent"]) == (3, old["agent"])
    assert alice.client.get(f"{URL}/writer/versions/9").json()["code"] == "version_not_found"


@pytest.mark.parametrize("wanted", ["yaml", "json"])
def test_a_file_of_it_saved_again_is_the_same(alice, wanted):
    save(alice, agent={**WRITER, "guardrails": {"blocked": ["a: b", "- c"]}, "output_schema": {"type": "object"}})

    file = alice.client.get(f"{URL}/writer/export?format={wanted}")
    again = alice.client.post(URL, file.content, content_type=f"application/{wanted}")

    assert file["Content-Type"].startswith(f"application/{wanted}")
    assert (again.status_code, again.json()["version"]) == (200, 1)


def test_yaml_is_taken_as_json_is(alice):
    body = "name: writer\nagent:\n  instructions: |\n    You write.\n  tools: [demo.search]\n"

    answer = alice.client.post(URL, body, content_type="application/yaml")

    assert answer.status_code == 201, answer.data
    assert answer.json()["agent"]["tools"] == [{"tool": "demo.search"}]


def test_an_archived_agent_is_gone_and_its_name_free(alice):
    save(alice)

    assert alice.client.delete(f"{URL}/writer").status_code == 204
    assert alice.client.delete(f"{URL}/writer").status_code == 404
    assert alice.client.get(f"{URL}/writer").json()["code"] == "unknown_agent"
    assert save(alice, agent={"instructions": "New."}).json()["version"] == 1


def test_everybody_of_the_organization_sees_it_and_nobody_else(alice, guard):
    save(alice)

    for path in ("", "/versions", "/versions/1", "/export"):
        guard("get", f"{URL}/writer{path}")
    guard("delete", f"{URL}/writer", needs="edit")


def test_a_viewer_saves_nothing(alice, bob, charlie):
    assert save(bob).status_code == 403
    save(alice)

    assert save(charlie, agent={"instructions": "Mine."}).json()["version"] == 1, "an agent of their own"
    assert alice.client.get(f"{URL}/writer").json()["agent"]["instructions"] == "You write."
