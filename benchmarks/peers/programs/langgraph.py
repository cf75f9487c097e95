"""LangGraph in this process, with the checkpointer for PostgreSQL and `durability="sync"`.

There is no server and no worker: nothing that a killed process had begun goes on by itself. One run is invoked with
the synchronous interface, which is the faster one there; many runs at once with the asynchronous one.
"""

import asyncio
import operator
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from itertools import pairwise
from typing import Annotated, Any, TypedDict
from uuid import uuid4

from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from benchmarks.contender import Took
from benchmarks.peers.lines import Contenders, serve

CONNECTIONS = 20
LONGEST_CHAIN = 300  # every checkpoint names every node, so that longer ones take minutes
AS_DOCUMENTED = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}


class State(TypedDict):
    """Of a chain."""

    n: int


class Items(TypedDict):
    """Of a map."""

    numbers: list[int]
    results: Annotated[list[int], operator.add]


class LangGraph:
    """Graphs that are compiled once."""

    def __init__(self, database_url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.database_url, self.loop = database_url, loop
        self.pool: ConnectionPool[Any] = ConnectionPool(
            database_url, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=AS_DOCUMENTED, open=True
        )
        self.saver = PostgresSaver(self.pool)
        self.saver.setup()
        self.async_pool, self.async_saver = loop.run_until_complete(self._opened())

    def chain(self, nodes: int) -> Took | None:
        """See Contender.chain."""
        if nodes > LONGEST_CHAIN:
            return None
        graph = self._chain(nodes)
        began = time.perf_counter()
        graph.invoke({"n": 1}, _config(nodes), durability="sync")
        return Took(time.perf_counter() - began)

    def fanout(self, items: int) -> Took:
        """See Contender.fanout."""
        graph = self._fanout()
        began = time.perf_counter()
        ended = graph.invoke({"numbers": list(range(items)), "results": []}, _config(3), durability="sync")
        took = Took(time.perf_counter() - began)
        if len(ended["results"]) != items:
            raise RuntimeError("Items are missing.")
        return took

    def runs(self, runs: int, nodes: int, seconds: float) -> Took:
        """See Contender.runs."""
        graph = self._waiting_chain(nodes, seconds)

        async def work() -> None:
            await asyncio.gather(*(graph.ainvoke({"n": 1}, _config(nodes), durability="sync") for _ in range(runs)))

        began = time.perf_counter()
        self.loop.run_until_complete(work())
        return Took(time.perf_counter() - began)

    async def _opened(self) -> tuple[AsyncConnectionPool[Any], AsyncPostgresSaver]:
        pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            self.database_url, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=AS_DOCUMENTED, open=False
        )
        await pool.open()
        return pool, AsyncPostgresSaver(pool)

    @cache  # noqa: B019 - there is one of us
    def _chain(self, nodes: int) -> Any:
        return _chain_of(nodes, lambda state: {"n": state["n"]}).compile(checkpointer=self.saver)

    @cache  # noqa: B019
    def _waiting_chain(self, nodes: int, seconds: float) -> Any:
        async def node(state: State) -> State:
            if seconds:
                await asyncio.sleep(seconds)
            return {"n": state["n"]}

        return _chain_of(nodes, node).compile(checkpointer=self.async_saver)

    @cache  # noqa: B019
    def _fanout(self) -> Any:
        graph = StateGraph(Items)
        graph.add_node("item", lambda given: {"results": [given["n"]]})
        graph.add_node("join", lambda _: {})
        graph.add_conditional_edges(
            START, lambda state: [Send("item", {"n": number}) for number in state["numbers"]], ["item"]
        )
        graph.add_edge("item", "join")
        graph.add_edge("join", END)
        return graph.compile(checkpointer=self.saver)


def _chain_of(nodes: int, node: Callable[[State], State | Awaitable[State]]) -> Any:
    graph = StateGraph(State)
    names = [f"n{number}" for number in range(nodes)]
    for name in names:
        graph.add_node(name, node)
    for before, after in pairwise((START, *names, END)):
        graph.add_edge(before, after)
    return graph


def _config(nodes: int) -> dict[str, Any]:
    return {"configurable": {"thread_id": str(uuid4())}, "recursion_limit": nodes + 5}


@contextmanager
def running(database_url: str) -> Iterator[Contenders]:
    """The contender, with its connections."""
    with asyncio.Runner() as runner:
        contender = LangGraph(database_url, runner.get_loop())
        yield {f"LangGraph {version('langgraph')} (in process)": contender}
        contender.pool.close()
        runner.run(contender.async_pool.close())


if __name__ == "__main__":
    serve(lambda: running(sys.argv[1]))
