"""Every command and curl line in the documents works, on one real `bin/up` for all of them.

The blocks of a document run one after the other in one shell, as for a reader who pastes along.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestra import embedded
from tests.acceptance.orchestra_process import RunningOrchestra, wait_until
from tests.docs.blocks import DOCUMENTS, ROOT, Block, blocks

SHELL = [block for block in blocks("sh", "bash") if not (block.remark or "").startswith("not run: ")]
PROCESSES = [block for block in SHELL if block.remark == "processes"]
PASTED = [block for block in SHELL if block not in PROCESSES]
SECONDS = 600  # for a document: each command of it starts Python, and the machine may be busy

pytestmark = [
    pytest.mark.timeout(SECONDS + 60),
    pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed"),
    pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed"),
]


@pytest.fixture(scope="module")
def desk() -> Iterator[Path]:
    """A directory that looks like the reader's: `bin/`, `.venv`, `.orchestra`, and the files they have saved."""
    desk = Path(tempfile.mkdtemp(prefix="orchestra-docs-"))
    (desk / ".orchestra").mkdir()
    (desk / ".venv").symlink_to(Path(sys.executable).parent.parent)
    (desk / "orchestra").symlink_to(ROOT / "orchestra")
    (desk / "apps").symlink_to(ROOT / "apps")
    (desk / "bin").mkdir()
    for name in ("manage", "python", "up", "test"):
        program = desk / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{ROOT}/bin/{name}" "$@"\n')
        program.chmod(0o755)
    save_files(desk)
    yield desk
    embedded.remove_state(desk / ".orchestra")
    shutil.rmtree(desk)


@pytest.fixture(scope="module")
def orchestra(desk: Path) -> Iterator[RunningOrchestra]:
    """One `bin/up` with the README's agent and tool."""
    port = embedded.free_port(20000 + os.getpid() % 2000)
    running = RunningOrchestra(desk / ".orchestra", port, PYTHONPATH=str(desk), ORCHESTRA_PLUGINS="greeter")
    yield running.wait_ready()
    running.end()


def save_files(desk: Path) -> None:
    """Save the blocks that name a file, those without a name at the end of the file before; the README's last."""
    for path in sorted(DOCUMENTS, key=lambda path: path.name == "README.md"):
        last: dict[str, Path] = {}
        for block in blocks("python", "yaml", "toml", paths=[path]):
            if block.file:
                last[block.language] = desk / block.file
                last[block.language].write_text(block.text)
            elif block.language == "python" and "python" in last:
                with last["python"].open("a") as file:
                    file.write(block.text)


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if any(block.path == path for block in PASTED)], ids=lambda path: path.name
)
def test_what_a_document_tells_to_type_works(path: Path, desk: Path, orchestra: RunningOrchestra) -> None:
    chosen = [block for block in PASTED if block.path == path]
    script = "\n".join(["set -euo pipefail", *(step(number, block) for number, block in enumerate(chosen))])

    ended = subprocess.run(
        ["bash", "-c", script],
        check=False,
        cwd=desk,
        env=environment(desk, orchestra),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    last = int(ended.stdout.split()[-1])
    assert ended.returncode == 0, f"{chosen[last].name}\n{outputs(desk, last)}{ended.stderr}"
    for number, block in enumerate(chosen):
        check(block, desk, number)


def step(number: int, block: Block) -> str:
    """A block with its output in files; curl fails where the API refuses, unless the document wants it to."""
    report = "-w '%{stderr}HTTP %{http_code}\\n'" if answers(block) else "--fail-with-body"
    return f'echo {number}\ncurl() {{ command curl {report} "$@"; }}\n{{\n{block.text}}} >{number}.out 2>{number}.err'


def answers(block: Block) -> str | None:
    """The status of the error that a block is about."""
    return block.remark.removeprefix("answers ") if block.remark and block.remark.startswith("answers ") else None


def check(block: Block, desk: Path, number: int) -> None:
    if status := answers(block):
        assert f"HTTP {status}" in (desk / f"{number}.err").read_text(), f"{block.name}\n{outputs(desk, number)}"
    if block.prints is not None:
        printed = (desk / f"{number}.out").read_text()
        assert is_like(printed, block.prints), f"{block.name}\n{printed}"


def is_like(printed: str, shown: str) -> bool:
    """Whether the output is what the document shows; there, … stands for anything."""
    try:
        return alike(json.loads(printed), json.loads(shown))
    except ValueError:
        return fnmatchcase(printed.strip(), shown.strip().replace("[", "[[]").replace("…", "*"))


def alike(value: Any, shown: Any) -> bool:
    if isinstance(shown, dict) and isinstance(value, dict):
        return value.keys() == shown.keys() and all(alike(value[name], shown[name]) for name in shown)
    if isinstance(shown, list) and isinstance(value, list):
        return len(value) == len(shown) and all(map(alike, value, shown))
    return bool(shown in ("…", value))


def outputs(desk: Path, number: int) -> str:
    return "".join((desk / f"{number}.{kind}").read_text() for kind in ("out", "err"))


def environment(desk: Path, orchestra: RunningOrchestra) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")}
    return inherited | {
        "ORCHESTRA_HOME": str(orchestra.home),
        "ORCHESTRA_URL": orchestra.access["url"],
        "ORCHESTRA_KEY": orchestra.access["api_key"],
        "ORCHESTRA_PLUGINS": "greeter",
        "PYTHONPATH": str(desk),
    }


def test_a_killed_worker_is_seen_and_nothing_finished_is_repeated(orchestra: RunningOrchestra) -> None:
    """What the README shows: it ran before, and left its run behind."""
    runs = orchestra.call("GET", "/v1/runs?limit=200").json()["items"]
    (slow,) = [run for run in runs if run["workflow"] == "slow"]

    nodes = orchestra.call("GET", f"/v1/runs/{slow['id']}/nodes?limit=200").json()["items"]
    ends = [attempt["outcome"] for node in nodes for attempt in node["attempts"]]

    assert slow["status"] == "completed"
    assert ends.count("lost") == 1
    assert ends.count("completed") == 15


def test_the_processes_can_be_started_one_by_one(desk: Path, orchestra: RunningOrchestra) -> None:
    (block,) = PROCESSES
    services = json.loads((orchestra.home / "services.json").read_text())
    port = embedded.free_port(orchestra.port + 10)
    own = {"DATABASE_URL": services["database_url"], "REDIS_URL": services["redis_url"]}
    started = [
        subprocess.Popen(
            shlex.split(line.replace("--port 8000", f"--port {port}")),
            cwd=desk,
            env=environment(desk, orchestra) | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in block.lines
    ]
    try:
        wait_until(lambda: is_ready(port))
        wait_until(lambda: started[1].pid in worker_pids(desk, orchestra))
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        printed = [process.communicate(timeout=60)[0] for process in started]

    assert all("Traceback" not in text for text in printed), printed


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def worker_pids(desk: Path, orchestra: RunningOrchestra) -> list[int]:
    status = subprocess.run(
        [desk / "bin" / "manage", "queue", "status", "--json"],
        check=False,
        env=environment(desk, orchestra),
        capture_output=True,
        text=True,
    )
    return [worker["pid"] for worker in json.loads(status.stdout)["workers"]]
