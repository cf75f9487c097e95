"""What the last `up` left, and whether it still holds."""

import hashlib
from pathlib import Path

import psycopg

from orchestra import settings
from orchestra.access import Access, read_access
from orchestra.supervisor import write_private

ROWS_THAT_LET_IN = """
    SELECT (SELECT count(*) FROM django_migrations),
           (SELECT password FROM accounts_user WHERE username = %(username)s),
           (SELECT (digest, revoked_at, expires_at < now() + interval '30 days')
              FROM accounts_apikey WHERE public_id = %(public_id)s)
"""


class Kept:
    """What need not be prepared again.

    The file `prepared` holds a digest of what brings migrations, demo workflows and static files, of the database's
    address, and of the rows that let the owner in: when the digest is the same, there is nothing to prepare.
    """

    def __init__(self, home: Path, database_url: str, *, demo: bool) -> None:
        self.home = home
        self.database_url = database_url
        self.demo = demo
        self.code = self._digest_of_code()
        collected = (settings.STATIC_ROOT / "staticfiles.json").exists()
        self.same_code = collected and self._read()[0] == self.code

    def access(self) -> Access | None:
        """Give what access.json says while all of it still works."""
        known = read_access(self.home)
        return known if known and self.same_code and self._read() == [self.code, self._digest_of_rows(known)] else None

    def remember(self, access: Access) -> None:
        """Write down that everything is prepared."""
        write_private(self.home / "prepared", f"{self.code} {self._digest_of_rows(access)}")

    def _read(self) -> list[str]:
        try:
            return (self.home / "prepared").read_text().split()
        except FileNotFoundError:
            return [""]

    def _digest_of_code(self) -> str:
        apps = settings.BASE_DIR / "apps"
        migrations = sorted(str(path.relative_to(apps)) for path in apps.glob("*/migrations/*.py"))
        gallery = sorted(path for path in (apps / "workflows" / "gallery").rglob("*") if path.is_file() and self.demo)
        # Not static/src: what the builder is built from, with packages by the thousand, is no file of a page.
        static = [path for path in (settings.BASE_DIR / "static").glob("*") if path.name != "src"]
        pages = sorted(path for place in static for path in (place, *place.rglob("*")) if path.is_file())
        files = (settings.BASE_DIR / "requirements.txt", *gallery, *pages)
        contents = (f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
        return digest(self.database_url, str(settings.STATIC_ROOT), *migrations, *contents)

    def _digest_of_rows(self, access: Access) -> str:
        public_id = "".join(access.api_key.split("_")[2:3])
        try:
            with psycopg.connect(self.database_url, connect_timeout=5) as connection:
                rows = connection.execute(ROWS_THAT_LET_IN, {"username": access.username, "public_id": public_id})
                return digest(*map(str, rows.fetchone() or ()))
        except psycopg.errors.UndefinedTable:
            return ""


def digest(*facts: str) -> str:
    """Give a short name of facts."""
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()
