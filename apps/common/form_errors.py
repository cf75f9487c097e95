"""Faults of what a form sent, put beside the fields that they are about."""

from typing import Any

from django import forms

from apps.common.errors import DomainError


def put_errors(form: forms.Form, error: DomainError, names: dict[str, str] | None = None) -> None:
    """Put each fault of an error beside its field, and what belongs to none above the form.

    `names` maps what a service calls a value to what the form calls it, where they differ.
    """
    for item in error.errors:
        name: Any = item.pointer.strip("/").partition("/")[0]
        name = (names or {}).get(name, name)
        form.add_error(name if name in form.fields else None, item.message)
    if not error.errors:
        form.add_error("name" if error.code == "name_taken" and "name" in form.fields else None, error.detail)
