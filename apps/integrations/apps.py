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
        from apps.common import upkeep  # noqa: PLC0415
        from apps.integrations.language_models.cache import forget_old_answers  # noqa: PLC0415
        from apps.integrations.language_models.resolving import is_known  # noqa: PLC0415
        from apps.observability.services import budgets  # noqa: PLC0415
        from apps.observability.services.accounting import expire_calls  # noqa: PLC0415

        upkeep.register("model_calls_lost", expire_calls)
        upkeep.register("model_answers_forgotten", forget_old_answers, every=upkeep.HOUR)
        budgets.register_models(is_known)
