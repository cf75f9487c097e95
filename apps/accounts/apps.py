from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Tell the lower app what only this app knows."""
        from apps.accounts import selectors  # noqa: PLC0415 - models are ready only now
        from apps.common import commands  # noqa: PLC0415

        commands.register(selectors.organization_for_command)
