"""The first run: `up` lets the content analysis read a page of Charles Darwin's, and shows what it found."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from orchestra.access import Access

WORKFLOW = "content-analysis"
SOURCE = "Charles Darwin, The Voyage of the Beagle, 1839"
TEXT = Path(__file__).parent / "brazilian_forest.txt"
RUN_SECONDS = 30
WIDTH = 100


def call(access: Access, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Call the API as a stranger would."""
    request = urllib.request.Request(  # noqa: S310 - an address of our own
        access.url + path,
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {access.api_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=RUN_SECONDS + 5) as answer:  # noqa: S310
        return json.load(answer)


def run(access: Access) -> dict[str, Any]:
    """Run the demo workflow on the bundled text and give the ended run."""
    started = call(
        access,
        "POST",
        f"/v1/workflows/{WORKFLOW}/run?wait={RUN_SECONDS}",
        {"input": {"input_text": TEXT.read_text()}, "labels": {"demo": "first-run"}},
    )
    return dict(call(access, "GET", f"/v1/runs/{started['id']}"))


def report(run: Mapping[str, Any]) -> Iterator[str]:
    """Tell in a few lines what a run came to."""
    yield f"{WORKFLOW} of {SOURCE}: {run['status']} in {(run['duration_ms'] or 0) / 1000:.1f} s"
    found = {**(run.get("context") or {}), **(run.get("output") or {})}
    for name, value in found.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *rest = wrap(f"{name}: {text}", WIDTH) or [name]
        yield f"  {first}"
        yield from (f"    {line}" for line in rest)
    if run.get("error"):
        yield f"  error: {json.dumps(run['error'], ensure_ascii=False)}"
