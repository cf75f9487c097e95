"""The sentences that say most, after SumBasic (Nenkova and Vanderwende, 2005)."""

import math
from collections import Counter
from heapq import nlargest

from apps.agents.builtin.text_processor.words import common_words, sentences, telling_words
from apps.common.json import JSON

SHARE = 0.3  # of the sentences, when the caller names no number
MOST_SENTENCES = 5
MOST_CANDIDATES = 500  # choosing looks at each of them for each sentence it takes
OPENING_BONUS = 1.3  # what a text begins with is more often its point


def summary(text: str, wanted: int | None = None) -> JSON:
    """Give the most telling sentences in their order, how many of how many, and the share of the text's length."""
    every = sentences(text)
    count = wanted or min(MOST_SENTENCES, max(1, round(len(every) * SHARE)))
    short = " ".join(every[index] for index in sorted(_chosen(every, count)))
    return {
        "summary": short,
        "sentences": min(count, len(every)),
        "total_sentences": len(every),
        "compression": round(len(short) / len(text), 4) if short else 0.0,
    }


def _chosen(every: list[str], count: int) -> list[int]:
    """Take the best sentence, make its words worth less so that the next one adds something new, and so on."""
    common = common_words(every)
    contents = [[word for word in telling_words(sentence) if word not in common] for sentence in every]
    counts = Counter(word for content in contents for word in content)
    total = sum(counts.values()) or 1
    weights = {word: count / total for word, count in counts.items()}
    promising = nlargest(MOST_CANDIDATES, range(len(every)), key=lambda index: _value(contents[index], weights, index))
    left = dict.fromkeys(sorted(promising))
    chosen: list[int] = []
    while left and len(chosen) < count:
        best = max(left, key=lambda index: (_value(contents[index], weights, index), -index))
        del left[best]
        chosen.append(best)
        for word in set(contents[best]):
            weights[word] **= 2
    return chosen


def _value(content: list[str], weights: dict[str, float], index: int) -> float:
    if not content:
        return 0.0
    # Between sum (long sentences win) and mean (two-word sentences win).
    value = sum(weights[word] for word in content) / math.sqrt(len(content))
    return value if index else value * OPENING_BONUS
