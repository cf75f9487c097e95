"""Sentences and words of a text, for languages that put spaces between words."""

import re
from collections import Counter
from collections.abc import Iterable

LONGEST_SENTENCE = 1000  # characters; what has no full stop for that long is cut
COMMON_FROM_SENTENCES = 8  # fewer sentences say nothing about which words are everywhere
SHORTEST_WORD = 3

# A full stop after these ends no sentence.
_ABBREVIATIONS = """
mr mrs ms dr prof st jr sr vs etc eg ie e.g i.e u.s u.k a.m p.m inc ltd co corp dept fig approx jan feb
mar apr jun jul aug sep sept oct nov dec bzw usw ca z.b d.h nr str
"""
# English, German, French and Spanish.
_STOP_WORDS = """
a about above after again against all also although always am an and any are aren't as at be because been
before being below between both but by can can't cannot could couldn't did didn't do does doesn't doing
don't down during each either else even ever every few for from further get gets got had hadn't has hasn't
have haven't having he he's her here hers herself him himself his how however i i'm i've i'd i'll if in into
is isn't it it's its itself just let like made make many may me might more most much must my myself neither
no nor not now of off often on once one only onto or other others our ours out over own per rather really
said same say says she she's should shouldn't since so some still such than that that's the their theirs
them themselves then there there's these they they're this those though through thus to together too toward
two under until up upon us use used uses using very via was wasn't we we're we've well were weren't what
when where whether which while who whom whose why will with within without won't would wouldn't yes yet you
you're day days first last lot new next people thing things time times today way week weeks year years
you've your yours yourself aber als auch auf aus bei bin bis das dass dem den der des die doch durch ein
eine einem einen einer eines er es für hat haben ich ihr ihre ist kann mit nach nicht noch nur oder sehr
sein sich sie sind so über und von vor war waren was wenn werden wie wir wird wurde zu zum zur au aux avec
ce ces cette dans de des du elle en est et être il ils je la le les leur mais ne nous on ou où par pas pour
plus que qui sa se ses son sont sur un une vous al como con cuando del desde donde el ella en entre era es
esta este esto fue ha hay la las lo los más muy para pero por que se sin sobre su sus también una uno y ya
"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
STOP_WORDS = frozenset(_STOP_WORDS.split())

_ONWARDS = r"\s+(?=[\"'“\u2018(\[]?[^\W_a-zß-öø-ÿ])"
_BREAK = re.compile(
    rf"(?<=[.!?…]){_ONWARDS}|(?<=[.!?…][\"'”\u2019)\]]){_ONWARDS}|(?<=[。\uff01\uff1f])|\n\s*\n|\n(?=[-*•] )"
)
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


def sentences(text: str) -> list[str]:
    """Give the sentences in their order, each on one line."""
    parts: list[str] = []
    unfinished: list[str] = []
    for part in _BREAK.split(text):
        unfinished.append(part)
        if not _ends_in_abbreviation(part):
            parts.append(" ".join(unfinished))
            unfinished = []
    parts.append(" ".join(unfinished))
    return [piece for part in parts for piece in _pieces(" ".join(part.split()))]


def words(text: str) -> list[str]:
    """Give the words in lower case, with their apostrophes and hyphens."""
    return [word.replace("\u2019", "'") for word in _WORD.findall(text.lower())]


def telling_words(text: str) -> list[str]:
    """Give the words that carry meaning: no stop words, nothing very short, no bare numbers."""
    return [word for word in words(text) if is_telling(word)]


def is_telling(word: str) -> bool:
    """Tell whether a word carries meaning of its own."""
    return len(word) >= SHORTEST_WORD and word not in STOP_WORDS and not word.isdecimal()


def common_words(texts: list[str]) -> set[str]:
    """Give the words that stand in more than half of many sentences: the stop words of any other language."""
    if len(texts) < COMMON_FROM_SENTENCES:
        return set()
    spread = Counter(word for text in texts for word in set(words(text)))
    return {word for word, count in spread.items() if count > len(texts) / 2}


def singulars(found: Iterable[str]) -> dict[str, str]:
    """Map each plural in `-s` to its singular where both occur."""
    known = set(found)
    return {word: word[:-1] for word in known if word.endswith("s") and word[:-1] in known}


def _ends_in_abbreviation(sentence: str) -> bool:
    word = "".join(sentence.rsplit(maxsplit=1)[-1:]).lower().strip("\"'“\u2018([")
    return word.endswith(".") and (word.rstrip(".") in ABBREVIATIONS or re.fullmatch(r"[a-z]\.", word) is not None)


def _pieces(sentence: str) -> list[str]:
    return [sentence[start : start + LONGEST_SENTENCE] for start in range(0, len(sentence), LONGEST_SENTENCE)]
