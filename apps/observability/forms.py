"""The forms of budgets."""

from decimal import Decimal
from typing import Any

from django import forms

from apps.common.money import MICRO, MOST_DOLLARS, PLACES, micro_of
from apps.observability.models import Budget

DIGITS = len(str(MOST_DOLLARS)) + PLACES
QUIET = {"autocomplete": "off"}


def _dollars(**options: Any) -> forms.DecimalField:
    step = forms.NumberInput(attrs={**QUIET, "step": "any"})
    return forms.DecimalField(max_digits=DIGITS, decimal_places=PLACES, max_value=MOST_DOLLARS, widget=step, **options)


class BudgetForm(forms.Form):
    """What a budget is; whose it is and how long a period lasts stays as it was made."""

    name = forms.CharField(max_length=100, widget=forms.TextInput(attrs=QUIET))
    limit = _dollars(label="Dollars", min_value=Decimal(0), help_text="The most that may be spent in a period.")
    scope = forms.ChoiceField(
        label="Of",
        choices=[
            ("organization", "the whole organization"),
            ("workflow", "a workflow"),
            ("run", "a run"),
            ("agent", "an agent"),
            ("user", "a person or key"),
        ],
        help_text="Whose calls count together.",
    )
    subject = forms.CharField(
        label="Which one",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs=QUIET),
        help_text="Its name; of a run the full id. Empty: each has the budget for itself.",
    )
    period = forms.ChoiceField(
        label="Begins anew",
        choices=[("day", "every day, at midnight UTC"), ("month", "every month"), ("total", "never")],
        initial="month",
    )
    at_cap = forms.ChoiceField(
        label="When it is used up",
        choices=[
            ("ask", "the run pauses, until somebody allows more"),
            ("cheaper", "a cheaper model is asked"),
            ("fail", "the call fails"),
        ],
        help_text="Before each call the most that it can cost is put aside, so that no number of runs spends past it.",
    )
    cheaper_model = forms.CharField(
        label="Cheaper model",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs=QUIET),
        help_text="Only where a cheaper model is asked; if even that does not fit, the run pauses.",
    )
    enabled = forms.BooleanField(label="It counts", required=False, initial=True)

    def __init__(self, *args: Any, is_new: bool = True, **kwargs: Any) -> None:
        """Leave out what stays, where the budget is there already."""
        super().__init__(*args, **kwargs)
        for name in () if is_new else ("scope", "subject", "period"):
            del self.fields[name]

    def values(self) -> dict[str, Any]:
        """Give what was sent, as the service takes it."""
        sent = dict(self.cleaned_data)
        if sent["at_cap"] != Budget.AtCap.CHEAPER:
            sent["cheaper_model"] = ""
        return sent | {"limit_micro_usd": micro_of(sent.pop("limit"))}


class AllowForm(forms.Form):
    """More money for one subject."""

    amount = _dollars(min_value=1 / MICRO)
    subject = forms.CharField(required=False, max_length=200)
