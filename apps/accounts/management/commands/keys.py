from datetime import timedelta
from typing import Any

from apps.accounts import selectors
from apps.accounts.models import ApiKey, Capability, Role
from apps.accounts.services.keys import create_key, revoke_key
from apps.common.commands import OrchestraCommand, argument, subcommand
from apps.common.errors import NotFound
from apps.common.selectors import find_by_id


class Command(OrchestraCommand):
    help = "Makes, lists and revokes the API keys of an organization."

    @subcommand(
        argument("--name", default="command line", help="what the key is for"),
        argument("--role", choices=Role.values, default=Role.OPERATOR.value),
        argument("--scopes", nargs="*", choices=[c.value for c in Capability], default=[], help="narrow the role"),
        argument("--expires", type=int, default=90, metavar="DAYS", help="0: valid until it is revoked"),
    )
    def create(self, name: str, role: str, scopes: list[str], expires: int) -> None:
        """Make a key; it is printed once."""
        lifetime = timedelta(days=expires) if expires else None
        created = create_key(
            organization=self.organization, name=name, role=Role(role), scopes=scopes, lifetime=lifetime
        )
        self.show_value({"api_key": created.secret, **_row(created.key), "organization": self.organization.slug})

    @subcommand()
    def list_(self) -> None:
        """List the keys that are not revoked."""
        columns = ["id", "name", "role", "expires_at"]
        self.table(map(_row, selectors.keys().order_by("created_at", "id")), columns)

    @subcommand(argument("key", metavar="KEY", help="its id, a unique ending of it, or how the key begins"))
    def revoke(self, key: str) -> None:
        """Revoke a key at once."""
        found = _find(key)
        self.confirm(f"The key '{found.name}' ({_row(found)['prefix']}) will stop working at once.")
        revoke_key(found)
        self.show_value({"revoked": str(found.pk)})


def _find(ref: str) -> ApiKey:
    public_id = ref.removeprefix("ork_live_")[:8]
    by_prefix = selectors.keys().filter(public_id=public_id).first() if ref.startswith("ork_live_") else None
    if ref.startswith("ork_live_") and by_prefix is None:
        raise NotFound(f"There is no key that begins with 'ork_live_{public_id}'.")
    return by_prefix or find_by_id(selectors.keys(), ref)


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.pk),
        "prefix": f"ork_live_{key.public_id}",
        "name": key.name,
        "role": key.role,
        "scopes": key.scopes,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
    }
