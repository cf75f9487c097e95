"""The environment of each peer: made when it is first asked for, from a lock of its own, and never Orchestra's."""

import hashlib
import subprocess
import sys
from pathlib import Path

from orchestra.settings import BASE_DIR

REQUIREMENTS = Path(__file__).with_name("requirements")
ENVIRONMENTS = BASE_DIR / ".orchestra" / "peers"
INSTALL_SECONDS = 300


class NotInstalled(Exception):
    """A peer's packages cannot be had here; the text says why."""


def python_of(peer: str) -> Path:
    """The Python of a peer's environment, with exactly what its lock says."""
    lock, environment = REQUIREMENTS / f"{peer}.txt", ENVIRONMENTS / peer
    python, mark = environment / "bin" / "python", environment / "installed"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not (python.exists() and mark.exists() and mark.read_text() == wanted):
        mark.unlink(missing_ok=True)
        print(f"{peer}: installing its packages in {environment}", file=sys.stderr, flush=True)
        _run(sys.executable, "-m", "venv", "--without-pip", "--clear", str(environment))
        _run(str(_uv()), "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(lock))
        mark.write_text(wanted)
    return python


def _uv() -> Path:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        raise NotInstalled("uv is missing; bin/test --version gets it")
    return uv


def _run(*command: str) -> None:
    try:
        ran = subprocess.run(  # noqa: S603 - our own command
            command, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
    if ran.returncode != 0:
        last = (ran.stderr.strip() or f"exit code {ran.returncode}").splitlines()[-1]
        raise NotInstalled(last)
