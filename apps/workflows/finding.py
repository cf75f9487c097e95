"""What of this app stands in the frame of every page: the number of questions, and what the palette finds."""

from collections.abc import Iterator

from apps.common.errors import Conflict, NotFound
from apps.common.ids import short_id
from apps.common.palette import Found
from apps.workflows import selectors


def count_questions() -> int:
    """Count the approvals that wait for somebody."""
    return selectors.count_open_approvals()


def find_workflows(text: str, most: int) -> Iterator[Found]:
    """Find workflows by a part of their name."""
    found = selectors.workflows().filter(name__icontains=text).order_by("name").values_list("name", flat=True)
    for name in found[:most]:
        yield Found(name, "Workflow", "workflow", f"/workflows/{name}")


def find_runs(text: str, _most: int) -> Iterator[Found]:
    """Find a run by the end of its id, or by all of it."""
    try:
        run = selectors.find_run(text)
    except (NotFound, Conflict):
        return
    yield Found(f"{run.name} {short_id(run.pk)}", "Run", "circle-play", f"/runs/{run.pk}")
