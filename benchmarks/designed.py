"""What others came to, by workload, on the machine where the figures to reach were set: each machine has its pace."""

from collections.abc import Mapping

CANVAS, LANGGRAPH = "Celery canvas", "LangGraph"  # how their names begin

DESIGNED: Mapping[str, Mapping[str, float]] = {
    "A. chain of 10 nodes": {CANVAS: 0.027, LANGGRAPH: 0.019},
    "A. chain of 100 nodes": {CANVAS: 0.25, LANGGRAPH: 0.23},
    "B. map over 100 items": {CANVAS: 0.29, LANGGRAPH: 0.13},
    "B. map over 1,000 items": {CANVAS: 3.06, LANGGRAPH: 0.94},
    "C. 200 runs of 5 nodes": {CANVAS: 132, LANGGRAPH: 100},
    "D. 200 runs of 3 nodes that wait 200 ms": {CANVAS: 2.2, LANGGRAPH: 1.6},
}
