"""The Celery application of the canvas contender. It knows nothing of Django, and its worker does not load it."""

import os
import time
from typing import Any

from celery import Celery

app = Celery("canvas", broker=os.environ.get("CANVAS_URL"), backend=os.environ.get("CANVAS_URL"), set_as_current=False)
app.conf.update(
    task_serializer="json", result_serializer="json", accept_content=["json"], broker_connection_retry_on_startup=True
)


@app.task(name="canvas.node")
def node(result: dict[str, Any], seconds: float = 0) -> dict[str, Any]:
    """Does nothing, but for waiting where it is told to."""
    if seconds:
        time.sleep(seconds)
    return result


@app.task(name="canvas.join")
def join(results: list[dict[str, Any]]) -> int:
    """Counts what has come."""
    return len(results)
