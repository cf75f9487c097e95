from apps.accounts import selectors
from apps.accounts.services.organizations import create_organization
from apps.common.commands import OrchestraCommand, argument, subcommand


class Command(OrchestraCommand):
    help = "Founds and lists organizations."

    @subcommand(
        argument("name", metavar="NAME"),
        argument("--username", help="the owner's name; without it SLUG-owner"),
        organization=False,
    )
    def create(self, name: str, username: str | None) -> None:
        """Found an organization with an owner and an API key; password and key are printed once."""
        created = create_organization(name=name, owner_username=username)
        self.show_value(
            {
                "organization": created.organization.slug,
                "slug": created.organization.slug,
                "id": str(created.organization.pk),
                "name": created.organization.name,
                "username": created.owner.username,
                "password": created.password,
                "api_key": created.api_key_secret,
            }
        )
        self.next_step(f"bin/manage keys create --organization {created.organization.slug} --role operator")

    @subcommand(organization=False)
    def list_(self) -> None:
        """List all organizations, the oldest first."""
        rows = (
            {"slug": one.slug, "name": one.name, "id": str(one.pk), "created_at": one.created_at}
            for one in selectors.organizations()
        )
        self.table(rows, ["slug", "name", "created_at", "id"])
