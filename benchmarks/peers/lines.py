"""What a session and a peer's process say to each other: a JSON object on a line, one answer for each question.

    process   {"ready": ["DBOS 3.4.0"]}                                    the contenders it can be
    session   {"contender": "DBOS 3.4.0", "work": "chain", "given": [100]}
    process   {"seconds": 0.37}                                            or {"cannot": true}, or {"failed": "why"}

The process ends when its input does. It measures by itself, from before the submit until it knows the end, so this
talk costs nobody anything. Only the standard library is used here, as every peer has an environment of its own.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import IO, Any

from benchmarks.contender import Contender, Took

Contenders = Mapping[str, Contender]


def serve(running: Callable[[], AbstractContextManager[Contenders]]) -> None:
    """Be the contenders by their names until nobody asks any more."""
    answers = _answers()
    with running() as contenders:
        _say(answers, {"ready": list(contenders)})
        for line in sys.stdin:
            _say(answers, _answer(contenders, json.loads(line)))


def _answers() -> IO[str]:
    """The standard output, which is ours alone from now on: whatever else is printed goes to the log."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _answer(contenders: Contenders, question: Mapping[str, Any]) -> dict[str, Any]:
    work: Callable[..., Took | None] | None = getattr(contenders[question["contender"]], question["work"], None)
    try:
        took = work(*question["given"]) if work else None
    except Exception as error:  # noqa: BLE001 - the session says it in its table
        return {"failed": f"{type(error).__name__}: {error}"}
    return {"cannot": True} if took is None else {"seconds": took.seconds}


def _say(answers: IO[str], answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
