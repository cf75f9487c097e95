"""How the person at this machine gets in: the first organization, its owner and a key, kept in access.json."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestra.supervisor import write_private


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


def write_access(home: Path, access: Access) -> Access:
    """Replace access.json."""
    write_private(home / "access.json", json.dumps(asdict(access), indent=2) + "\n")
    return access
