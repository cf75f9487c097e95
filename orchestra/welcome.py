"""What `up` says when everything runs."""

import json
from collections.abc import Iterator

from orchestra.access import Access

READY = "Ctrl-C stops everything and keeps the state."
HELLO = {
    "definition": {"name": "hello", "nodes": {"greet": {"type": "agent", "agent": "echo", "input": "{{ inputs }}"}}},
    "input": {"text": "Hello"},
}


def welcome(access: Access, link: str) -> Iterator[str]:
    """Say where everything is, and give lines to paste."""
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
