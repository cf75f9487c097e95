"""The addresses of usage and budgets."""

from django.urls import path

from apps.observability.api import budgets, usage

urlpatterns = [
    path("v1/usage", usage.UsageSumsView.as_view()),
    path("v1/usage/calls", usage.CallsView.as_view()),
    path("v1/budgets", budgets.BudgetsView.as_view()),
    path("v1/budgets/<str:ref>", budgets.OneBudgetView.as_view()),
    path("v1/budgets/<str:ref>/accounts", budgets.AccountsView.as_view()),
    path("v1/budgets/<str:ref>/allow", budgets.AllowView.as_view()),
]
