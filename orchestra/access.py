"""How the person at this machine gets in: the first organization, its owner and a key, kept in access.json."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Access:
    """What access.json says."""

    url: str
    api_key: str
    organization: str
    username: str
    password: str | None  # null once the owner has changed it


def read_access(home: Path) -> Access | None:
    """Give what the last start wrote, if there was one."""
    try:
        return Access(**json.loads((home / "access.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
