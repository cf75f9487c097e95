"""The language models this process knows."""

from collections.abc import Iterator
from typing import Protocol

from apps.common.registry import Registry
from apps.integrations.language_models.shapes import Reply, Request


class LanguageModel(Protocol):
    """Something that answers; `is_demo` where no real model stands behind it, which every screen then says."""

    name: str
    description: str
    is_demo: bool

    async def answer(self, request: Request) -> Reply:
        """Give the answer; raises Retryable where trying again may help, Fatal where not."""


_models: Registry[LanguageModel] = Registry("model")


def register(model: LanguageModel) -> None:
    """Make a model known by its name; a second one of that name raises DuplicateNameError."""
    _models.register(model.name, model, origin=f"{type(model).__module__}.{type(model).__qualname__}")


def get(name: str) -> LanguageModel:
    """Give the model, or raises NotFound naming the nearest one."""
    return _models.get(name)


def all() -> Iterator[LanguageModel]:  # noqa: A001 - reads as registry.all()
    """Give every model, by name."""
    return iter(_models)


def unregister(name: str) -> None:
    """Forget a model."""
    _models.unregister(name)
