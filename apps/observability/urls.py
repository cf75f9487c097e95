"""The addresses of usage and budgets."""

from django.urls import path

from apps.observability.api import budgets, usage
from apps.observability.views import budgets as budget_pages
from apps.observability.views import usage as usage_pages

pages = [
    path("usage", usage_pages.usage_page, name="usage"),
    path("usage.csv", usage_pages.usage_csv, name="usage_csv"),
    path("settings/budgets", budget_pages.budgets, name="settings_budgets"),
    path("settings/new-budget", budget_pages.new_budget, name="new_budget"),
    path("settings/budgets/<str:ref>", budget_pages.edit_budget, name="edit_budget"),
    path("settings/budgets/<str:ref>/remove", budget_pages.remove_budget, name="remove_budget"),
    path("settings/budgets/<str:ref>/allow", budget_pages.allow, name="allow_more"),
]

urlpatterns = [
    *pages,
    path("v1/usage", usage.UsageSumsView.as_view()),
    path("v1/usage/calls", usage.CallsView.as_view()),
    path("v1/budgets", budgets.BudgetsView.as_view()),
    path("v1/budgets/<str:ref>", budgets.OneBudgetView.as_view()),
    path("v1/budgets/<str:ref>/accounts", budgets.AccountsView.as_view()),
    path("v1/budgets/<str:ref>/allow", budgets.AllowView.as_view()),
]
