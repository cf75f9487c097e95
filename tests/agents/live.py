"""Agents outside, in tests: joined over the API, and played by the test itself."""

from typing import Any

from django.db import connection
from django_scopes import scopes_disabled

from apps.agents.models import AgentInstance, AgentTask

_SHIFT = """
update agents_agentinstance set heartbeat_at = heartbeat_at - make_interval(secs => %(seconds)s),
    polled_at = polled_at - make_interval(secs => %(seconds)s) where name = any(%(names)s);
"""
_SHIFT_TASKS = """
update agents_agenttask set lease_until = lease_until - make_interval(secs => %(seconds)s),
    offered_until = offered_until - make_interval(secs => %(seconds)s);
update agents_agentfigures set open_until = open_until - make_interval(secs => %(seconds)s),
    probe_until = probe_until - make_interval(secs => %(seconds)s),
    changed_at = changed_at - make_interval(secs => %(seconds)s)
"""


def join(actor: Any, name: str, **told: Any) -> dict[str, Any]:
    """Register an instance, which can do `shout` unless it says something else; gives what it is told."""
    body = {"name": name, "agent_type": "shouter", "capabilities": [{"name": "shout"}], **told}
    answer = actor.client.post("/v1/agents/register", body, format="json")
    assert answer.status_code in {200, 201}, answer.content
    return dict(answer.json())


def beat(actor: Any, name: str, **told: Any) -> dict[str, Any]:
    answer = actor.client.post(f"/v1/agents/{name}/heartbeat", told, format="json")
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def claim(actor: Any, name: str, wait: float = 0) -> Any:
    answer = actor.client.post(f"/v1/agents/{name}/tasks/claim", {"wait": wait}, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()["task"]


def finish(actor: Any, name: str, task: dict[str, Any], **ended: Any) -> Any:
    body = {"fence": task["fence"], "status": "completed", **ended}
    return actor.client.post(f"/v1/agents/{name}/tasks/{task['id']}", body, format="json")


def report(actor: Any, name: str, task: dict[str, Any], **told: Any) -> Any:
    body = {"fence": task["fence"], **told}
    return actor.client.post(f"/v1/agents/{name}/tasks/{task['id']}/reports", body, format="json")


def pass_time(seconds: float, *silent: str) -> None:
    """So much time passes, in which these instances say nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_SHIFT, {"seconds": seconds, "names": list(silent)})
        cursor.execute(_SHIFT_TASKS, {"seconds": seconds})


def instance(name: str) -> AgentInstance:
    with scopes_disabled():
        return AgentInstance.objects.get(name=name)


def tasks() -> list[AgentTask]:
    with scopes_disabled():
        return list(AgentTask.objects.order_by("created_at"))
