from importlib import import_module

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "apps.integrations"
    label = "integrations"

    def ready(self) -> None:
        import_module("apps.integrations.builtin")
        import_module("apps.integrations.language_models.scripted")
        import_module("apps.integrations.embeddings.hashed")
