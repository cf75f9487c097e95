"""Reading the rows of the built-in tools and of language models, in the organization in scope."""

from django.db.models import QuerySet

from apps.common.errors import NotFound
from apps.common.registry import nearest
from apps.common.selectors import find_by_id
from apps.integrations.models import ModelProvider, ModelSetting, OutboxMessage


def outbox_messages(run_id: str | None = None) -> QuerySet[OutboxMessage]:
    """Give the messages of the outbox, or those of one run."""
    messages = OutboxMessage.objects.all()
    return messages.filter(run_id=run_id) if run_id else messages


def providers() -> QuerySet[ModelProvider]:
    """Give who serves models, with their keys and what is set up of them."""
    return ModelProvider.objects.select_related("key").prefetch_related("settings")


def find_provider(ref: str) -> ModelProvider:
    """Give the provider of this name or id; raises NotFound."""
    if (named := providers().filter(name=ref).first()) is not None:
        return named
    try:
        return find_by_id(providers(), ref)
    except NotFound:
        known = nearest(ref, ModelProvider.objects.values_list("name", flat=True))
        raise NotFound(f"There is no provider '{ref[:80]}'.{known}", code="provider_not_found") from None


def models() -> QuerySet[ModelSetting]:
    """Give the models that are set up, with their providers."""
    return ModelSetting.objects.select_related("provider")


def find_model(name: str) -> ModelSetting:
    """Give what is set up under this name; raises NotFound, also for a model that code brings."""
    found = models().filter(name=name).first()
    if found is None:
        known = nearest(name, ModelSetting.objects.values_list("name", flat=True))
        raise NotFound(f"There is no model '{name[:80]}' set up.{known}", code="model_not_found")
    return found
