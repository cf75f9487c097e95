"""What a web process does not load before somebody asks for it."""

import subprocess
import sys

LATE = {"mcp", "mcp_types", "a2a", "httpx2", "starlette"}


def test_the_web_starts_without_the_protocols_it_may_never_speak() -> None:
    code = "import sys, orchestra.asgi; print(*sorted({name.partition('.')[0] for name in sys.modules}))"

    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "django" in started
    assert LATE.isdisjoint(started)
