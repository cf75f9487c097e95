"""The first run, through the public API as a stranger would: what the content analysis finds in a page of Thoreau's."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from textwrap import wrap
from typing import Any

import psycopg

from apps.accounts.keys import read_secret
from orchestra.access import Access
from orchestra.loopback import opener

TEMPLATE = "content-analysis"
RUN_SECONDS = 30
WIDTH = 100
_ANY_RUN = """
    select 1 from workflows_run r join accounts_organization o on o.id = r.organization_id
    where o.slug = %(organization)s limit 1
"""
_UNUSED = "select 1 from accounts_apikey where public_id = %(public_id)s and last_used_at is null"
_FORGET = "update accounts_apikey set last_used_at = null where public_id = %(public_id)s"


def is_first(database_url: str, organization: str) -> bool:
    """Tell whether an organization has no run yet."""
    with psycopg.connect(database_url) as connection:
        return connection.execute(_ANY_RUN, {"organization": organization}).fetchone() is None


def run(access: Access) -> dict[str, Any]:
    """Run the demo workflow on its bundled sample and give the ended run."""
    template = call(access, "GET", f"/v1/templates/{TEMPLATE}")
    order = {"input": template["sample_input"], "labels": {"demo": "first-run"}}
    started = call(access, "POST", f"/v1/workflows/{template['workflow']}/run?wait={RUN_SECONDS}", order)
    return dict(call(access, "GET", f"/v1/runs/{started['id']}"))


@contextmanager
def uncounted(database_url: str, access: Access) -> Iterator[None]:
    """Let a key that nobody has used yet look so afterwards: what starts by itself is no first step of a person."""
    secret = read_secret(access.api_key)
    key = {"public_id": secret and secret.public_id}
    with psycopg.connect(database_url, autocommit=True) as connection:
        unused = connection.execute(_UNUSED, key).fetchone()
        try:
            yield
        finally:
            if unused:
                connection.execute(_FORGET, key)


def report(run: Mapping[str, Any]) -> Iterator[str]:
    """Tell in a few lines what a run came to."""
    yield f"{TEMPLATE} of its sample: {run['status']} in {(run['duration_ms'] or 0) / 1000:.1f} s"
    for name, value in (run["output"] or {"error": run["error"]}).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *rest = wrap(f"{name}: {text}", WIDTH)
        yield f"  {first}"
        yield from (f"    {line}" for line in rest)


def call(access: Access, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Call the API and give its answer."""
    request = urllib.request.Request(  # noqa: S310 - an address of our own
        access.url + path,
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {access.api_key}", "Content-Type": "application/json"},
    )
    with opener.open(request, timeout=RUN_SECONDS + 5) as answer:
        return json.load(answer)
