"""What `up` says when everything runs."""

import json
from collections.abc import Iterator

import psycopg

from orchestra.access import Access

READY = "Ctrl-C stops everything and keeps the state."
NO_MODEL = "A model of your own: on Home, or bin/manage models add openai --default gpt-5-mini"
HELLO = {
    "definition": {"name": "hello", "nodes": {"greet": {"type": "agent", "agent": "echo", "input": "{{ inputs }}"}}},
    "input": {"text": "Hello"},
}


_HAS_MODEL = """
    select 1 from integrations_modelsetting m join accounts_organization o on o.id = m.organization_id
    where o.slug = %(organization)s and m.is_default
"""


def has_model(database_url: str, organization: str) -> bool:
    """Tell whether an organization has a default model of its own."""
    with psycopg.connect(database_url) as connection:
        return connection.execute(_HAS_MODEL, {"organization": organization}).fetchone() is not None


def welcome(access: Access, link: str, *, has_model: bool) -> Iterator[str]:
    """Say where everything is, and give lines to paste; without a model of one's own, how one gets it."""
    yield from box(
        f"Orchestra is ready: {access.url}",
        "",
        f"Open        {link}",
        *(["            (signs you in: once, on this machine, within 10 minutes)"] if link != access.url else []),
        f"API docs    {access.url}/v1/docs",
        f"Admin       {access.url}/admin/",
        f"Sign in     {access.username} / {access.password or '(the password you chose)'}",
        f"API key     {access.api_key}",
    )
    yield from curl_lines(access)
    yield ""
    if not has_model:
        yield NO_MODEL
    yield READY


def box(*lines: str) -> Iterator[str]:
    """Draw a frame around lines."""
    width = max(len(line) for line in lines) + 4
    yield f"\n┌{'─' * width}┐"
    for line in lines:
        yield f"│  {line:<{width - 2}}│"
    yield f"└{'─' * width}┘"


def curl_lines(access: Access) -> Iterator[str]:
    """Give three calls that work when pasted."""
    key = f"-H 'Authorization: Bearer {access.api_key}'"
    json_body = "-H 'Content-Type: application/json'"
    yield "Try it:"
    yield f"curl -s {key} {access.url}/v1/workflows"
    yield f"curl -s -X POST {key} {json_body} -d '{json.dumps(HELLO)}' '{access.url}/v1/runs?wait=10'"
    yield f"curl -s {key} '{access.url}/v1/runs?limit=5'"
