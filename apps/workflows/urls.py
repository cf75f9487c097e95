"""The addresses of workflows and runs."""

from django.urls import path

from apps.workflows.api import drafts, effects, health, older, people, runs, schedules, tasks, templates, workflows
from apps.workflows.views import approvals as approval_pages
from apps.workflows.views import run_list

pages = [
    path("approvals", approval_pages.inbox, name="approvals"),
    path("approvals/<str:ref>", approval_pages.question, name="approval"),
    path("runs", run_list.run_list, name="runs"),
    path("runs/news", run_list.news, name="run_news"),
    path("runs/confirm", run_list.confirm, name="confirm_runs"),
    path("runs/act", run_list.act_on_many, name="act_on_runs"),
    path("runs/views", run_list.save_view, name="save_view"),
    path("runs/views/<uuid:identifier>/delete", run_list.delete_view, name="delete_view"),
    path("runs/<str:ref>/peek", run_list.peek, name="peek_run"),
]

older_addresses = [
    path("workflows", older.OlderWorkflowsView.as_view(schema=None)),
    path("workflows/", older.OlderWorkflowsView.as_view(schema=None)),
    path("workflows/<str:ref>", older.OlderWorkflowView.as_view(schema=None)),
    path("workflows/<str:ref>/execute", older.ExecuteView.as_view(schema=None)),
    path("executions/<str:ref>/status", older.ExecutionStatusView.as_view(schema=None)),
    path("executions/<str:ref>/logs", older.ExecutionLogsView.as_view(schema=None)),
    path("run-graph", older.RunGraphView.as_view(schema=None)),
    path("status/<str:ref>", older.GraphStatusView.as_view(schema=None)),
    path("api/v1/tasks", older.OlderTasksView.as_view(schema=None)),
    path("api/v1/tasks/<str:ref>", older.OlderTaskView.as_view(schema=None)),
    path("api/v1/tasks/<str:ref>/status", older.OlderTaskStatusView.as_view(schema=None)),
]

urlpatterns = [
    *pages,
    path("health", health.health),
    path("ready", health.ready),
    path("v1/workflows", workflows.WorkflowsView.as_view()),
    path("v1/workflows/validate", workflows.ValidateView.as_view()),
    path("v1/workflows/convert", drafts.ConvertView.as_view()),
    path("v1/workflows/<str:ref>", workflows.OneWorkflowView.as_view()),
    path("v1/workflows/<str:ref>/draft", drafts.OneDraftView.as_view()),
    path("v1/workflows/<str:ref>/draft/publish", drafts.PublishDraftView.as_view()),
    path("v1/workflows/<str:ref>/versions", workflows.VersionsView.as_view()),
    path("v1/workflows/<str:ref>/versions/<int:number>", workflows.OneVersionView.as_view()),
    path("v1/workflows/<str:ref>/versions/<int:number>/publish", workflows.PublishView.as_view()),
    path("v1/workflows/<str:ref>/versions/<int:before>/diff/<int:after>", workflows.VersionsDiffView.as_view()),
    path("v1/workflows/<str:ref>/export", workflows.ExportView.as_view()),
    path("v1/workflows/<str:ref>/run", workflows.RunWorkflowView.as_view()),
    path("v1/node-types", drafts.NodeTypesView.as_view()),
    path("v1/runs", runs.RunsView.as_view()),
    path("v1/runs/<str:ref>", runs.OneRunView.as_view()),
    path("v1/runs/<str:ref>/nodes", runs.NodesView.as_view()),
    path("v1/runs/<str:ref>/events", runs.events),
    path("v1/runs/<str:ref>/logs", runs.LogsView.as_view()),
    path("v1/runs/<str:ref>/trace", runs.RunTraceView.as_view()),
    path("v1/runs/<str:ref>/effects", effects.RunEffectsView.as_view()),
    path("v1/runs/<str:ref>/cancel", runs.CancelView.as_view()),
    path("v1/runs/<str:ref>/pause", runs.PauseView.as_view()),
    path("v1/runs/<str:ref>/resume", runs.ResumeView.as_view()),
    path("v1/runs/<str:ref>/retry", runs.RetryView.as_view()),
    path("v1/runs/<str:ref>/fork", runs.ForkView.as_view()),
    path("v1/runs/<str:ref>/signals/<str:event>", people.SignalView.as_view()),
    path("v1/tasks", tasks.TasksView.as_view()),
    path("v1/tasks/<str:ref>", tasks.OneTaskView.as_view()),
    path("v1/tasks/<str:ref>/status", tasks.TaskStatusView.as_view()),
    path("v1/templates", templates.TemplatesView.as_view()),
    path("v1/templates/<str:name>", templates.OneTemplateView.as_view()),
    path("v1/schedules", schedules.SchedulesView.as_view()),
    path("v1/schedules/<str:ref>", schedules.OneScheduleView.as_view()),
    path("v1/schedules/<str:ref>/fires", schedules.FiresView.as_view()),
    path("v1/schedules/<str:ref>/pause", schedules.PauseScheduleView.as_view()),
    path("v1/schedules/<str:ref>/resume", schedules.ResumeScheduleView.as_view()),
    path("v1/schedules/<str:ref>/fire", schedules.FireView.as_view()),
    path("v1/effects", effects.EffectsView.as_view()),
    path("v1/effects/<str:ref>", effects.OneEffectView.as_view()),
    path("v1/approvals", people.ApprovalsView.as_view()),
    path("v1/approvals/<str:ref>", people.OneApprovalView.as_view()),
    *older_addresses,
]
