"""The gallery of workflows to start from."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.common.listing import BY_NAME, paginate_by_name
from apps.common.openapi import page_of
from apps.workflows.serializers.templates import TemplateView, template_view
from apps.workflows.services.gallery import find_template, templates


class TemplatesView(OrganizationView):
    """The workflow gallery."""

    query = {"GET": BY_NAME}

    @extend_schema(responses={200: page_of(TemplateView)}, operation_id="list_templates")
    def get(self, request: Request) -> Response:
        """List the workflows of the gallery, each with an input to try it with; none needs a model key."""
        return paginate_by_name(
            templates().values(), request, name=lambda template: template.name, serialize=template_view
        )


class OneTemplateView(OrganizationView):
    """One template."""

    @extend_schema(responses={200: TemplateView}, operation_id="get_template")
    def get(self, _request: Request, name: str) -> Response:
        """Show a template with its definition and sample input."""
        return Response(template_view(find_template(name)))
