"""`local/hashed`: vectors by signed feature hashing, without weights, a network or a key.

It knows words and not meanings: "car" is near "cars", and far from "vehicle".
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

from apps.integrations.embeddings.registry import WIDTH, Vector, register

WORD = re.compile(r"\w+")
GRAMS = (3, 4)  # characters; by these "invoice" is near "invoices" and "invoicing"
MOST_CHARACTERS = 20_000
COMMON = frozenset(  # they say little about what a text is about
    WORD.findall(
        "a an and are as at be but by did do does for from had has have her his how i if in is it its me my no not of "
        "on or our she he so than that the their them there they this to us was we were what when where which who why "
        "will with would you your can could should must"
    )
)
OF_COMMON = 0.2  # what such a word weighs


class Hashed:
    """The provider; see the module."""

    name = "local/hashed"
    description = "Compares words and parts of words, without a model. It needs no key and has no cost."
    least = 0.2

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Give the vectors; the same text always has the same."""
        return [_vector(text) for text in texts]


def _vector(text: str) -> Vector:
    """Add each feature at the place and with the sign that its digest says, so that collisions cancel out."""
    vector = [0.0] * WIDTH
    for feature, weight in _features(text).items():
        digest = int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "big")
        vector[(digest >> 1) % WIDTH] += weight if digest & 1 else -weight
    return vector


def _features(text: str) -> Mapping[str, float]:
    words = Counter(WORD.findall(text[:MOST_CHARACTERS].casefold()))
    features: defaultdict[str, float] = defaultdict(float)
    for word, count in words.items():
        weight = count**0.5 * (OF_COMMON if word in COMMON else 1.0)  # said twice is not twice as much
        features[word] += weight
        for gram in _grams(word):
            features[f"#{gram}"] += weight / len(word) ** 0.5
    return features


def _grams(word: str) -> Iterator[str]:
    framed = f"<{word}>"
    for size in GRAMS:
        yield from (framed[start : start + size] for start in range(len(framed) - size + 1))


register(Hashed())
