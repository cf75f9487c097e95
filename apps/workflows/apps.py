from django.apps import AppConfig


class WorkflowsConfig(AppConfig):
    name = "apps.workflows"
    label = "workflows"

    def ready(self) -> None:
        """Put this app's figures and things into the frame of every page, and let what is below continue runs."""
        from apps.agents.bus import signals  # noqa: PLC0415
        from apps.agents.llm import offers  # noqa: PLC0415
        from apps.agents.services import news  # noqa: PLC0415
        from apps.common import navigation, palette  # noqa: PLC0415
        from apps.workflows import continuing, finding  # noqa: PLC0415 - models are ready only now
        from apps.workflows.services.offered_workflows import OfferedWorkflows  # noqa: PLC0415

        navigation.register_badge("approvals", finding.count_questions)
        palette.register_search("runs", finding.find_runs)
        palette.register_search("workflows", finding.find_workflows)
        signals.register(continuing.deliver)
        news.register(continuing.Nodes())
        offers.register_workflows(OfferedWorkflows())
