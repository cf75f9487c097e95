"""Positive or negative? By VADER's lexicon and rules, for English."""

import re
from functools import cache
from itertools import count
from statistics import fmean
from typing import Any

from apps.agents.builtin.text_processor.words import sentences
from apps.common.json import JSON

# VADER spells every emoji out and then takes quadratic time: a thousand of them took most of a second.
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf]")
MOST_EMOJI = 20

NEUTRAL_BELOW = 0.05  # as VADER's authors recommend


def sentiment(text: str) -> JSON:
    """Give sentiment, score (-1 to 1), confidence (0 to 1), and how many sentences point which way.

    The score is the mean over the sentences: over a whole text at once VADER's sum would run to -1 or 1.
    """
    every = sentences(text)
    scores = [score for sentence in every if (score := _compound(sentence))]
    score = fmean(scores) if scores else 0.0
    return {
        "sentiment": _label(score),
        "score": round(score, 4),
        "confidence": _confidence(score) if every else 0.0,
        "positive_sentences": sum(value >= NEUTRAL_BELOW for value in scores),
        "negative_sentences": sum(value <= -NEUTRAL_BELOW for value in scores),
        "sentences": len(every),
    }


def _compound(sentence: str) -> float:
    number = count()
    few_emoji = EMOJI.sub(lambda found: found[0] if next(number) < MOST_EMOJI else "", sentence)
    return float(_analyzer().polarity_scores(few_emoji)["compound"])


def _label(score: float) -> str:
    if abs(score) < NEUTRAL_BELOW:
        return "neutral"
    return "positive" if score > 0 else "negative"


def _confidence(score: float) -> float:
    """Give 0.5 where the label is about to change and 1 where it could not be clearer."""
    strength = abs(score)
    if strength < NEUTRAL_BELOW:
        return round(1 - strength / NEUTRAL_BELOW / 2, 4)
    return round(0.5 + strength / 2, 4)


@cache
def _analyzer() -> Any:
    # Imported on first use: reading the lexicon costs a tenth of a second that most processes never need.
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415

    return SentimentIntensityAnalyzer()
