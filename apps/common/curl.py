"""Commands that people copy into a terminal."""

import shlex

from django.http import HttpRequest

from apps.common import json
from apps.common.json import JSON


def curl(request: HttpRequest, path: str, body: JSON = None, *, key: str = "$ORCHESTRA_KEY") -> str:
    """Give the command that calls an address of this server; with a body it is a POST."""
    lines = [f"curl -s {request.build_absolute_uri(path)}", f'-H "Authorization: Bearer {key}"']
    if body is not None:
        lines += ['-H "Content-Type: application/json"', f"-d {shlex.quote(json.dumps(body).decode())}"]
    return " \\\n  ".join(lines)
