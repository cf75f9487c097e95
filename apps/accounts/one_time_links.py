"""Links that sign in once: for the person who started Orchestra on this machine.

A link is a file in ORCHESTRA_HOME with the digest of its token as name. `bin/up` writes it without Django; whoever can
write there can read access.json too. Deleting the file is the one use: of two who try, one succeeds.
"""

import contextlib
import hashlib
import json
import secrets
import time
from pathlib import Path

LIFETIME_SECONDS = 600
_TOKEN_BYTES = 32


def make_link(home: Path, username: str) -> str:
    """Give the token of a new link; what has run out is deleted meanwhile."""
    folder = _folder(home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(folder)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    path = folder / _digest(token)
    path.touch(mode=0o600)
    path.write_text(json.dumps({"username": username, "expires_at": time.time() + LIFETIME_SECONDS}))
    return token


def use_link(home: Path, token: str) -> str | None:
    """Use a link up; give the name of who may sign in with it."""
    path = _folder(home) / _digest(token)
    try:
        link = json.loads(path.read_text())
        path.unlink()
    except (FileNotFoundError, ValueError):
        return None
    return str(link["username"]) if link["expires_at"] > time.time() else None


def _sweep(folder: Path) -> None:
    oldest = time.time() - LIFETIME_SECONDS
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def _folder(home: Path) -> Path:
    return home / "sign-in"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
