from django.apps import AppConfig

from apps.common import failpoints


class CommonConfig(AppConfig):
    name = "apps.common"
    label = "common"

    def ready(self) -> None:
        """Refuses failpoints where they must not be."""
        failpoints.arm_from_settings()
