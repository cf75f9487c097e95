"""Keeping and forgetting views of the run list."""

from uuid import UUID

from apps.accounts.models import Organization, User
from apps.common.errors import Conflict, Invalid, NotFound
from apps.workflows.lists.query import RunQuery
from apps.workflows.models import SavedView

MOST_VIEWS = 50  # of one person
LONGEST_NAME = 60


def save_view(*, organization: Organization, user: User, name: str, query: RunQuery) -> SavedView:
    """Keep a filter under a name; the name's older one is replaced. Raises Invalid for what is none."""
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise Invalid(f"Give the view a name of at most {LONGEST_NAME} characters.", code="invalid_name")
    if query.faults:
        raise Invalid(query.faults[0], code="invalid_filter")
    own = SavedView.objects.filter(user=user)
    if own.exclude(name=name).count() >= MOST_VIEWS:
        raise Conflict(f"You have {MOST_VIEWS} views already; delete one first.", code="too_many_views")
    view, _ = own.update_or_create(organization=organization, user=user, name=name, defaults={"query": str(query)})
    return view


def delete_view(user: User, identifier: UUID) -> SavedView:
    """Forget one of the person's own views; raises NotFound."""
    view = SavedView.objects.filter(user=user, pk=identifier).first()
    if view is None:
        raise NotFound("There is no such view.", code="view_not_found")
    view.delete()
    return view
