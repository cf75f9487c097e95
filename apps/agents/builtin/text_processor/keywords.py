"""What a text is about: its frequent telling words and word pairs."""

from collections import Counter
from itertools import pairwise

from apps.agents.builtin.text_processor.words import common_words, is_telling, sentences, singulars, words
from apps.common.json import JSON

PAIR_BONUS = 1.6  # two words that keep standing together say more than either


def keywords(text: str, limit: int) -> JSON:
    """Give the keywords with their scores, the best one scoring 1."""
    every = sentences(text)
    scores = _scores(every, common_words(every))
    ranked = sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))[:limit]
    best = ranked[0][1] if ranked else 1.0
    return {"keywords": [{"keyword": keyword, "score": round(score / best, 4)} for keyword, score in ranked]}


def _scores(every: list[str], common: set[str]) -> dict[str, float]:
    single: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for sentence in every:
        found = words(sentence)
        telling = [is_telling(word) and word not in common for word in found]
        single.update(word for word, tells in zip(found, telling, strict=True) if tells)
        pairs.update(pair for pair, tell in zip(pairwise(found), pairwise(telling), strict=True) if all(tell))
    return _merged(single, pairs)


def _merged(single: Counter[str], pairs: Counter[tuple[str, str]]) -> dict[str, float]:
    kept = {pair: count for pair, count in pairs.items() if count > 1}
    for (first, second), count in kept.items():
        # Counted with the pair: "machine" alone is no keyword beside "machine learning".
        single[first] -= count
        single[second] -= count
    scores = {" ".join(pair): count * PAIR_BONUS for pair, count in kept.items()}
    for plural, word in singulars(single).items():
        single[word] += single.pop(plural)
    # Longer words are rarer: a mild stand-in for the inverse document frequency that one text cannot have.
    scores.update({word: count * (1 + len(word) / 20) for word, count in single.items() if count > 0})
    return scores
