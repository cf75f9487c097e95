from importlib import import_module

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "apps.agents"
    label = "agents"

    def ready(self) -> None:
        import_module("apps.agents.builtin")
        import_module("apps.agents.llm.source")
        import_module("apps.agents.bus.tools")
        import_module("apps.agents.discovery").discover()
        registry, upkeep = import_module("apps.agents.registry"), import_module("apps.common.upkeep")
        registry.register_source(import_module("apps.agents.services.live_agents").LiveAgents())
        registry.register_source(import_module("apps.agents.a2a").A2aSource())
        upkeep.register("agents", import_module("apps.agents.services.sweep").sweep)
