"""The addresses of workflows and runs."""

from django.urls import path

from apps.workflows.api import health, people, runs, templates, workflows

urlpatterns = [
    path("health", health.health),
    path("ready", health.ready),
    path("v1/workflows", workflows.WorkflowsView.as_view()),
    path("v1/workflows/validate", workflows.ValidateView.as_view()),
    path("v1/workflows/<str:ref>", workflows.OneWorkflowView.as_view()),
    path("v1/workflows/<str:ref>/versions", workflows.VersionsView.as_view()),
    path("v1/workflows/<str:ref>/versions/<int:number>", workflows.VersionView_.as_view()),
    path("v1/workflows/<str:ref>/versions/<int:number>/publish", workflows.PublishView.as_view()),
    path("v1/workflows/<str:ref>/versions/<int:before>/diff/<int:after>", workflows.DiffView_.as_view()),
    path("v1/workflows/<str:ref>/export", workflows.ExportView.as_view()),
    path("v1/workflows/<str:ref>/run", workflows.RunWorkflowView.as_view()),
    path("v1/runs", runs.RunsView.as_view()),
    path("v1/runs/<str:ref>", runs.OneRunView.as_view()),
    path("v1/runs/<str:ref>/nodes", runs.NodesView.as_view()),
    path("v1/runs/<str:ref>/events", runs.events),
    path("v1/runs/<str:ref>/logs", runs.LogsView.as_view()),
    path("v1/runs/<str:ref>/trace", runs.TraceView_.as_view()),
    path("v1/runs/<str:ref>/cancel", runs.CancelView.as_view()),
    path("v1/runs/<str:ref>/pause", runs.PauseView.as_view()),
    path("v1/runs/<str:ref>/resume", runs.ResumeView.as_view()),
    path("v1/runs/<str:ref>/retry", runs.RetryView.as_view()),
    path("v1/runs/<str:ref>/fork", runs.ForkView.as_view()),
    path("v1/runs/<str:ref>/signals/<str:event>", people.SignalView.as_view()),
    path("v1/templates", templates.TemplatesView.as_view()),
    path("v1/templates/<str:name>", templates.OneTemplateView.as_view()),
    path("v1/approvals", people.ApprovalsView.as_view()),
    path("v1/approvals/<str:ref>", people.OneApprovalView.as_view()),
]
