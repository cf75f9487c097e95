"""What is run while things break: a workflow whose output tells whether every node ran, and a join that counts."""

from random import Random
from typing import Any

NAME = "chaos"
NODES = 6
BRANCHES = ("left", "middle", "right")

Definition = dict[str, Any]


def six_nodes(agent: str = "echo") -> Definition:
    """One node, three beside each other, a join and a last one; each takes as long as the input says."""
    return {
        "name": NAME,
        "nodes": {
            "first": _node(agent, number="{{ inputs.number }}"),
            **{
                name: _node(agent, number=f"{{{{ nodes.first.output.number + {place} }}}}", needs="first")
                for place, name in enumerate(BRANCHES, start=1)
            },
            "join": _node(
                agent,
                number="{{ " + " + ".join(f"nodes.{name}.output.number" for name in BRANCHES) + " }}",
                needs=list(BRANCHES),
            ),
            "last": _node(agent, number="{{ nodes.join.output.number + 1 }}", needs="join"),
        },
        "outputs": {"number": "{{ nodes.last.output.number }}"},
    }


def _node(agent: str, number: str, needs: str | list[str] | None = None) -> Definition:
    node = {"type": "agent", "agent": agent, "input": {"number": number, "delay": "{{ inputs.delay }}"}}
    return node | ({"needs": needs} if needs else {})


def given(number: int, seconds: tuple[float, float], random: Random) -> dict[str, Any]:
    """The input of one run; its nodes take a time between the two."""
    return {"number": number, "delay": round(random.uniform(*seconds), 3)}


def expected(number: int) -> dict[str, int]:
    """What a run with this number has to give."""
    return {"number": 3 * number + 6 + 1}
