"""A model server for measuring: answers each question, in OpenAI's protocol, as a stream that takes a while.

python -m benchmarks.talker PORT SECONDS
"""

import asyncio
import json
import socket
import sys
from typing import Any

import uvicorn

PIECES = 20


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


PORT = _free_port()  # known before the house is, which has to allow it
ADDRESS = f"127.0.0.1:{PORT}"
URL = f"http://{ADDRESS}/v1"


def _chunk(**choice: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {}, **choice}]}).encode() + b"\n\n"


async def _answer(scope: Any, receive: Any, send: Any, seconds: float) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for _ in range(PIECES):
        await asyncio.sleep(seconds / PIECES)
        await send({"type": "http.response.body", "body": _chunk(delta={"content": "word "}), "more_body": True})
    usage = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": PIECES}}
    end = _chunk(finish_reason="stop") + b"data: " + json.dumps(usage).encode() + b"\n\ndata: [DONE]\n\n"
    await send({"type": "http.response.body", "body": end})


def main(port: int, seconds: float) -> None:
    """Serve until somebody ends it."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await _answer(scope, receive, send, seconds)

    uvicorn.run(application, host="127.0.0.1", port=port, log_level="critical", lifespan="off", backlog=4096)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
