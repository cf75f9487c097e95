"""Orchestra as a contender: over HTTP where one run is measured, by service call where many are."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import Max, Min
from django_scopes import scope

from apps.accounts.models import Organization
from apps.common.database import release_connection
from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.models import Run, WorkflowVersion
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.runs import Order, start_run
from apps.workflows.services.versions import Source, save_workflow
from benchmarks.contender import Took
from benchmarks.house import House, wait_until, worker_cpu
from benchmarks.report import OURS
from orchestra.access import Access

MOST_PARALLEL = 25  # items of a map at a time
SUBMITTERS = 4  # threads that start runs by service call
LOOK_SECONDS = 0.01

Definition = dict[str, Any]


class Ours:
    """Runs the workloads as workflows."""

    name = OURS

    def __init__(self, house: House) -> None:
        self.house = house
        self.organization = Organization.objects.get(slug=house.access.organization)
        self.client = Client(house.access)

    def chain(self, nodes: int) -> Took:
        """See Contender.chain."""
        return self._over_http(f"chain-{nodes}", chain_of(nodes))

    def fanout(self, items: int) -> Took:
        """See Contender.fanout."""
        return self._over_http("fanout", map_over_numbers(), {"numbers": list(range(items))})

    def runs(self, runs: int, nodes: int, seconds: float) -> Took:
        """See Contender.runs."""
        definition = chain_of(nodes, seconds)
        version = self.saved(f"runs-{nodes}-{seconds:g}".replace(".", "-"), json.dumps(definition))
        cpu, began = worker_cpu(self.house), time.perf_counter()
        with ThreadPoolExecutor(SUBMITTERS) as pool:
            started = list(pool.map(lambda _: self.start(version), range(runs)))
        self._wait_for(started)
        ended = time.perf_counter()
        return Took(ended - began, self._by_database(started), worker_cpu(self.house) - cpu)

    def answers(self, calls: int, address: str) -> Took:
        """One run that asks a model behind the address so many questions at once."""
        asks = {"type": "agent", "agent": "assistant", "model": "talker/m", "input": {"task": "{{ string(item) }}"}}
        self._provide("talker", address)
        every = {"type": "map", "over": list(range(calls)), "max_parallel": calls, "node": asks}
        return self._over_http(f"talks-{calls}", {"nodes": {"all": every}})

    @cache  # noqa: B019 - there is one of us
    def _provide(self, name: str, address: str) -> None:
        self.client.post("/v1/model-providers", {"name": name, "kind": "openai_compatible", "base_url": address})

    def wait_until_idle(self) -> None:
        """Return once no run goes on."""
        with scope(organization=self.organization):
            going_on = Run.objects.exclude(status__in=RUN_ENDED)
            wait_until(lambda: not going_on.exists(), "there are still runs that have not ended")

    @cache  # noqa: B019 - there is one of us
    def saved(self, name: str, document: str) -> WorkflowVersion:
        """The only version of a workflow."""
        with scope(organization=self.organization):
            checked = check_definition({"name": name, **json.loads(document)})
            saved = save_workflow(
                organization=self.organization, checked=checked, source=Source(document, "json"), by="benchmark"
            )
            return saved.version

    def _over_http(self, name: str, definition: Definition, given: dict[str, Any] | None = None) -> Took:
        self.saved(name, json.dumps(definition))
        cpu, began = worker_cpu(self.house), time.perf_counter()
        run = self.client.post(f"/v1/workflows/{name}/run?wait=60", {"input": given or {}})
        ended = time.perf_counter()
        if run["status"] != "completed":
            raise RuntimeError(f"The run of {name} is {run['status']}: {run['error']}")
        return Took(ended - began, self._by_database([UUID(run["id"])]), worker_cpu(self.house) - cpu)

    def start(self, version: WorkflowVersion) -> UUID:
        with scope(organization=self.organization):
            run = start_run(organization=self.organization, version=version, order=Order(by="benchmark"))
        release_connection()
        return run

    def _wait_for(self, runs: list[UUID]) -> None:
        with scope(organization=self.organization):
            going_on = Run.objects.filter(pk__in=runs).exclude(status__in=RUN_ENDED)
            while going_on.exists():
                time.sleep(LOOK_SECONDS)

    def _by_database(self, runs: list[UUID]) -> float:
        with scope(organization=self.organization):
            all_of_them = Run.objects.filter(pk__in=runs)
            if failed := all_of_them.exclude(status="completed").first():
                raise RuntimeError(f"{failed} is {failed.status}: {failed.error}")
            times = all_of_them.aggregate(first=Min("created_at"), last=Max("finished_at"))
        return float((times["last"] - times["first"]).total_seconds())


def chain_of(nodes: int, seconds: float = 0) -> Definition:
    """A workflow of so many nodes, one after the other, each with a small object; each waits so many seconds."""
    echo = {"type": "agent", "agent": "echo", "input": {"n": 1}, "config": {"delay": seconds}}
    names = [f"n{number}" for number in range(nodes)]
    edges = [{"from": before, "to": after} for before, after in pairwise(names)]
    return {"nodes": dict.fromkeys(names, echo), "edges": edges}


def map_over_numbers() -> Definition:
    """A workflow that runs a node for every number of its input."""
    echo = {"type": "agent", "agent": "echo", "input": {"n": "{{ item }}"}}
    items = {"type": "map", "over": "{{ inputs.numbers }}", "max_parallel": MOST_PARALLEL, "node": echo}
    return {"nodes": {"items": items}, "outputs": {"count": "{{ size(nodes.items.output) }}"}}


class Client:
    """One HTTP connection that stays open. The standard library's costs least, so that the server is measured."""

    def __init__(self, access: Access) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(access.url).netloc, timeout=90)
        self.headers = {"Authorization": f"Bearer {access.api_key}", "Content-Type": "application/json"}

    def post(self, path: str, body: Any) -> Any:
        """The answer's document; raises where the server refuses."""
        return json.loads(self.send("POST", path, json.dumps(body).encode()))

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The answer's body; raises where the server refuses."""
        try:
            self.connection.request(method, path, body, self.headers)
            answer = self.connection.getresponse()
        except ConnectionError:  # the server closes what has been idle for seconds; the next request opens it again
            self.connection.close()
            self.connection.request(method, path, body, self.headers)
            answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
        return content
