"""The base classes that a plugin author derives from."""

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, JsonValue

from apps.agents import registry
from apps.agents.context import Context

AGENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Route:
    """What an agent returns to choose where the run goes on: the edges with this `route` are taken.

    `output` is the node's output beside it: any JSON, a pydantic model, or None for an empty object.

        return Route("escalate", {"reason": "The customer waits since Monday."})
    """

    name: str
    output: Any = None


class Agent:
    """A kind of work that a workflow node can do.

        class Greeter(Agent):
            "Greets somebody."
            name = "greeter"
            capabilities = ["greet"]
            class Config(BaseModel): greeting: str = "Hello"
            class Input(BaseModel):  who: str
            class Output(BaseModel): text: str

            def exec(self, task: Input, ctx: Context) -> Output:
                return self.Output(text=f"{self.config.greeting}, {task.who}")

    Defining the class registers it under `name`; a second class of that name is an error that names both.

    The life of an agent is one visit of one node: it is made with its checked Config in `self.config`, then
    `prep`, `exec` and `post` run in this order, each sync or async, sharing `self`. An attempt after a failure or
    a crash starts with a new object; `ctx.step` is the memory that lasts.

    - `Input` is what the node hands in, checked before `prep`. Left out: any JSON.
    - `Output` is what the node's output is checked against. Left out: any JSON.
    - `Config` is what a workflow may set for this agent. Left out: nothing.

    To fail, raise Retryable(message, retry_after=seconds) when trying again may help, or Fatal(message) when it
    will not. Any other exception counts as retryable and is shown with its type and message.
    """

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""  # default: the docstring
    capabilities: ClassVar[Sequence[str]] = ()  # what `capability:` in a workflow selects by
    queue: ClassVar[str] = "default"  # "cpu" for work that keeps a processor busy
    may_be_replaced: ClassVar[bool] = False  # whether an organization's own agent of this name comes before it
    majors: ClassVar[tuple[int, ...]] = (1,)  # the versions whose node runs it can go on with; new ones get the last

    Config: ClassVar[Any] = type("Config", (BaseModel,), {"__doc__": None, "__module__": __name__})
    Input: ClassVar[Any] = JsonValue
    Output: ClassVar[Any] = JsonValue

    def __init__(self, config: Any = None) -> None:
        self.config: Any = self.Config() if config is None else config

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            _check(cls)
            registry.register(cls)

    def prep(self, task: Any, ctx: Context) -> Any:  # noqa: ARG002
        """Give the task that `exec` receives; by default the checked Input as it is."""
        return task

    def exec(self, task: Any, ctx: Context) -> Any:
        """Do the work and gives an Output, what can become one (a dict), or a Route."""
        raise NotImplementedError(f"{type(self).__name__} has no exec method.")

    def post(self, task: Any, output: Any, ctx: Context) -> Any:  # noqa: ARG002
        """Give the final result; by default what `exec` gave."""
        return output


class BaseNode(Agent):
    """A node class for workflows written as a state machine (`start_at`, `nodes: {id: {class, next_node}}`).

        class RouteByAge(BaseNode):
            "Children and grown-ups go different ways."
            targets = ("GreetChild", "GreetAdult")

            def run(self, context: dict, ctx: Context) -> Route:
                return Route("GreetChild" if context["age"] < 18 else "GreetAdult")

    The class name is the name that a workflow's `class` uses. `run` receives the run's shared context: its
    input merged with what the nodes before returned. It returns

    - a dict, whose keys are merged into the shared context, or None for nothing;
    - Route(name) or just the name: where to go on, for a node without `next_node`. The name is a node class or
      a node id; `targets` lists the possible ones. Without `targets`, the node may go to any node that nothing
      else leads to, by its id. Route(name, {...}) does both.

    `run` may be async.
    """

    targets: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        cls.name = cls.__dict__.get("name", cls.__name__)
        if inspect.iscoroutinefunction(cls.run):
            cls.exec = BaseNode._aexec  # type: ignore[method-assign]
        super().__init_subclass__(**kwargs)

    def run(self, context: dict[str, Any], ctx: Context) -> Any:
        """Do the node's work; see the class."""
        raise NotImplementedError(f"{type(self).__name__} has no run method.")

    def exec(self, task: Any, ctx: Context) -> Any:
        return _node_result(self.run(_shared(task), ctx))

    async def _aexec(self, task: Any, ctx: Context) -> Any:
        return _node_result(await self.run(_shared(task), ctx))


def _shared(task: Any) -> dict[str, Any]:
    return dict(task) if isinstance(task, dict) else {}


def _node_result(returned: Any) -> Any:
    if isinstance(returned, str):
        return Route(returned, {})
    return {} if returned is None else returned


def _check(agent: type[Agent]) -> None:
    where = f"{agent.__module__}.{agent.__qualname__}"
    if not AGENT_NAME.fullmatch(agent.name):
        raise TypeError(f"{where}: the name {agent.name!r} must be letters, digits, '_', '-' and '.'.")
    if isinstance(agent.capabilities, str):
        raise TypeError(f"{where}: capabilities is a list of names, not one string.")
    if agent.exec is Agent.exec or getattr(agent, "run", None) is BaseNode.run:
        raise TypeError(f"{where} has no {'run' if issubclass(agent, BaseNode) else 'exec'} method.")
