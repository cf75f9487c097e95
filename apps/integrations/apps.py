from importlib import import_module

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "apps.integrations"
    label = "integrations"

    def ready(self) -> None:
        import_module("apps.integrations.builtin")
        import_module("apps.integrations.language_models.scripted")
        import_module("apps.integrations.embeddings.hashed")
        registry = import_module("apps.integrations.registry")
        registry.register_source(import_module("apps.integrations.mcp_client.source").McpSource())
        from apps.common import chores  # noqa: PLC0415
        from apps.integrations.language_models.cache import forget_old_answers  # noqa: PLC0415
        from apps.observability.services.accounting import expire_calls  # noqa: PLC0415

        chores.register(expire_calls)
        chores.register(forget_old_answers)
