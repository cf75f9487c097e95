"""The language models that are there for every organization, because code brings them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from apps.common.json import JSON
from apps.common.registry import Registry
from apps.integrations.language_models.shapes import Reply, Request

DEFAULT = "default"  # the name of whichever model an organization has chosen
WITHOUT_ANY = "demo/scripted"  # what is asked where none was chosen
Hear = Callable[[str], None]  # is told each piece of an answer's text as it comes; "" for one without


class LanguageModel(Protocol):
    """Something that answers; `is_demo` where no real model stands behind it, which every screen then says."""

    name: str
    description: str
    is_demo: bool

    async def answer(self, request: Request, hear: Hear) -> Reply:
        """Give the answer; raises Retryable where trying again may help, Fatal where not."""


def options_for(model: LanguageModel, options: Mapping[str, JSON]) -> dict[str, JSON]:
    """Give the options that hold for this model: those under `demo` are for one that plays a model, and no other."""
    others = {name: value for name, value in options.items() if name != "demo"}
    played = options.get("demo") if model.is_demo else None
    return others | played if isinstance(played, dict) else others


_models: Registry[LanguageModel] = Registry("model")


def register(model: LanguageModel) -> None:
    """Make a model known by its name; a second one of that name raises DuplicateNameError."""
    _models.register(model.name, model, origin=f"{type(model).__module__}.{type(model).__qualname__}")


def get(name: str) -> LanguageModel:
    """Give the model, or raises NotFound naming the nearest one."""
    return _models.get(name)


def find(name: str) -> LanguageModel | None:
    """Give the model; None where code brings no such one."""
    return _models.find(name)


def all() -> Iterator[LanguageModel]:  # noqa: A001 - reads as registry.all()
    """Give every model, by name."""
    return iter(_models)


def unregister(name: str) -> None:
    """Forget a model."""
    _models.unregister(name)
