"""The providers of embeddings, and asking the one that is chosen."""

import math
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

from django.conf import settings

from apps.common.errors import Fatal
from apps.common.registry import Registry

WIDTH = 384  # of every vector: it is part of the columns

Vector: TypeAlias = list[float]


class Embedder(Protocol):
    """Something that makes vectors of WIDTH numbers; those of two providers cannot be compared."""

    name: str
    description: str
    least: float  # the similarity from which on two texts have something to do with each other

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Give a vector for each text; raises Retryable where trying again may help, Fatal where not."""


_embedders: Registry[Embedder] = Registry("embedder")


def register(embedder: Embedder) -> None:
    """Make a provider known by its name; a second one of that name raises DuplicateNameError."""
    origin = f"{type(embedder).__module__}.{type(embedder).__qualname__}"
    _embedders.register(embedder.name, embedder, origin=origin)


def unregister(name: str) -> None:
    """Forget a provider."""
    _embedders.unregister(name)


def all() -> Iterator[Embedder]:  # noqa: A001 - reads as registry.all()
    """Give every provider, by name."""
    return iter(_embedders)


def chosen() -> Embedder:
    """Give the provider that the setting ORCHESTRA_EMBEDDINGS names; raises NotFound for one that is not here."""
    return _embedders.get(settings.ORCHESTRA_EMBEDDINGS)


async def embed(texts: Sequence[str]) -> tuple[Embedder, list[Vector]]:
    """Give a vector of length 1 for each text, and whose they are.

    Raises Fatal for vectors that no column takes, and whatever the provider raises.
    """
    embedder = chosen()
    vectors = await embedder.embed(texts)
    if len(vectors) != len(texts) or any(len(vector) != WIDTH for vector in vectors):
        message = f"'{embedder.name}' must give a vector of {WIDTH} numbers for each text."
        raise Fatal(message, code="invalid_embedding")
    return embedder, [unit(vector) for vector in vectors]


def unit(vector: Vector) -> Vector:
    """Give the vector with the length 1; one of nothing but zeros points somewhere, as cosines need a direction."""
    length = math.sqrt(sum(number * number for number in vector))
    return [number / length for number in vector] if length else [1.0, *vector[1:]]
