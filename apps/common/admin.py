"""What operators' pages share."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin
else:

    class ModelAdmin(admin.ModelAdmin):
        """Django's, which only the type checker can subscript."""

        def __class_getitem__(cls, _model):  # noqa: ANN001, ANN204
            return cls


class ReadOnlyAdmin(ModelAdmin[M]):
    """Shows rows that nobody may change by hand, such as history."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:  # noqa: ARG002 - Django's signature
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:  # noqa: ARG002
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:  # noqa: ARG002
        """Refuse."""
        return False


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than people turn pages."""

    MOST = 10_000

    @cached_property
    def count(self) -> int:
        """Give how many rows there are, or MOST."""
        rows: Any = self.object_list
        return int(rows.order_by()[: self.MOST].count())


class HistoryAdmin(ReadOnlyAdmin[M]):
    """Shows rows of which there may be millions: a list reads one page and counts no further than needed."""

    show_full_result_count = False
    paginator = CappedPaginator
    ordering = ("-pk",)  # ids are in the order of time
    heavy: ClassVar[Sequence[str]] = ()  # columns that a list does not read
    ids: ClassVar[Sequence[str]] = ("pk",)  # where a searched id is looked for
    search_help_text = "An id in full, or part of what the columns say"

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        """Give the rows without what is heavy; a page of one row reads that when it is shown."""
        return super().get_queryset(request).defer(*self.heavy)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[M], search_term: str) -> Any:
        """Find an id by an index, anything else as Django does."""
        try:
            wanted = UUID(search_term.strip())
        except ValueError:
            return super().get_search_results(request, queryset, search_term)
        found = reduce(or_, (Q(**{name: wanted}) for name in self.ids))
        return queryset.filter(found), False
