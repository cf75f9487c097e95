"""One session: build an Orchestra, break it under load, and judge what came of the runs."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from orchestra.chaos.faults import Between, Faults, Say
from orchestra.chaos.load import client_of
from orchestra.chaos.report import KEPT, Report, report_on
from orchestra.chaos.scenarios import SCENARIOS, Scenario
from orchestra.chaos.stage import Options, Stage
from orchestra.chaos.tree import running_tree
from orchestra.chaos.verdict import Rows
from orchestra.house import directly, running_house


def play(options: Options, home: Path, say: Say) -> Report:
    """Play a scenario in a home under this one, and give what it came to."""
    scenario = SCENARIOS[options.scenario]
    began = time.time()
    with _stage(scenario, options, home / KEPT, say) as stage:
        say(f"ready: {scenario.help}, seed {options.seed}")
        stage.save_workflow(scenario.agent)
        try:
            scenario.act(stage)
        finally:
            stage.faults.thaw_all()
        stage.settle()
        verdict = stage.judge()
        return report_on(stage, verdict, scenario.demands(stage, verdict), began, time.time() - began)


@contextmanager
def _stage(scenario: Scenario, options: Options, homes: Path, say: Say) -> Iterator[Stage]:
    say("starting an Orchestra of its own")
    with ExitStack() as stack:
        if scenario.tree:
            tree = stack.enter_context(running_tree(homes, workers=options.workers))
            client = stack.enter_context(client_of(tree.access.url, tree.access.api_key))
            yield Stage(options, client, Rows(tree.database_url), say, Faults(None, say), tree=tree)
            return
        between = Between(stack)
        settings = {"ORCHESTRA_LEASE_SECONDS": f"{options.lease:g}", **scenario.settings}
        around = between if scenario.proxied else directly
        house = stack.enter_context(running_house(homes, workers=options.workers, settings=settings, around=around))
        url = between.before("http", house.access.url) if scenario.proxied else house.access.url
        client = stack.enter_context(client_of(url, house.access.api_key))
        yield Stage(options, client, Rows(house.postgres.url), say, Faults(house, say, between.proxies))
