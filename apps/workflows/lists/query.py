"""The language of the filter box: `status:failed workflow:"Market brief" since:2h` and back. Knows no database."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

from django.utils.dateparse import parse_date, parse_datetime

from apps.workflows.engine.states import RunStatus

MOST_CHARACTERS = 500
WORD = ""  # the key of a term that has none
_TOKEN = re.compile(r'(?:(?P<key>[A-Za-z_]+):)?(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)')
_PLAIN = re.compile(r'[^\s":]+')  # needs no quotation marks
_RELATIVE = re.compile(r"(\d{1,6})(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_OTHER_WORDS = {"queued": RunStatus.PENDING, "done": RunStatus.COMPLETED, "canceled": RunStatus.CANCELLED}


@dataclass(frozen=True, slots=True)
class Term:
    """One condition, as it was written."""

    key: str
    value: str

    def __str__(self) -> str:
        plain = _PLAIN if self.key == WORD else re.compile(r'[^\s"]+')
        value = self.value if plain.fullmatch(self.value) else _quoted(self.value)
        return f"{self.key}:{value}" if self.key else value


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs somebody wants to see."""

    terms: tuple[Term, ...] = ()
    faults: tuple[str, ...] = ()  # sentences for people; with one of them nothing is listed

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))

    def values(self, key: str) -> list[str]:
        """Give what is asked of a key, each once."""
        found = [term.value for term in self.terms if term.key == key]
        return list(dict.fromkeys(found))

    def one(self, key: str) -> str | None:
        """Give what is asked of a key that stands there once at most."""
        return next(iter(self.values(key)), None)

    @property
    def statuses(self) -> list[RunStatus]:
        """Give the statuses of which one is asked; none: all of them."""
        return list(dict.fromkeys(_status(part) for value in self.values("status") for part in value.split(",")))

    def moment(self, key: str, now: datetime) -> datetime | None:
        """Give the time of `since` or `until`."""
        value = self.one(key)
        return None if value is None else _moment(value, now)

    def having(self, key: str, value: str) -> "RunQuery":
        """Ask for this of a key, and for nothing else of it."""
        return replace(self, terms=(*self.lacking(key).terms, Term(key, value)))

    def lacking(self, key: str) -> "RunQuery":
        """Ask nothing of a key."""
        return replace(self, terms=tuple(term for term in self.terms if term.key != key))

    def minus(self, term: Term) -> "RunQuery":
        """Leave one condition away."""
        return replace(self, terms=tuple(one for one in self.terms if one != term))


def parse(text: str) -> RunQuery:
    """Read what stands in the filter box; what cannot be read is among the faults."""
    if len(text) > MOST_CHARACTERS or "\0" in text:
        return RunQuery(faults=(f"A filter has at most {MOST_CHARACTERS} characters.",))
    terms, faults = _terms(text)
    faults += [fault for term in terms if (fault := _fault(term))]
    faults += [f"'{key}' stands there twice; one run has only one." for key in ONCE if _count(terms, key) > 1]
    return RunQuery(tuple(terms), tuple(faults))


def _terms(text: str) -> tuple[list[Term], list[str]]:
    terms: list[Term] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            return terms, [f"The quotation marks from '{text[at : at + 30]}' on do not pair up."]
        terms.append(Term((match["key"] or WORD).lower(), _unquoted(match["value"])))
        at = match.end()
    return terms, []


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL) if value.startswith('"') else value


def _count(terms: list[Term], key: str) -> int:
    return sum(term.key == key for term in terms)


def _fault(term: Term) -> str | None:
    if term.key not in CHECKS:
        close = get_close_matches(term.key, KEYS, n=1)
        fix = f"Did you mean '{close[0]}:'?" if close else f"There are {', '.join(f'{key}:' for key in KEYS)}."
        return f"There is no filter '{term.key[:40]}:'. {fix}"
    if not term.value.strip():
        return f"'{term.key}:' needs a value." if term.key else "A pair of quotation marks is empty."
    return CHECKS[term.key](term.value)


def _check_status(value: str) -> str | None:
    for part in value.split(","):
        if part not in {*RunStatus, *_OTHER_WORDS}:
            close = get_close_matches(part, [*RunStatus, *_OTHER_WORDS], n=1)
            fix = f"Did you mean '{close[0]}'?" if close else f"There are {', '.join(RunStatus)}."
            return f"There is no status '{part[:40]}'. {fix}"
    return None


def _check_moment(value: str) -> str | None:
    if _moment(value, datetime.now(UTC)) is None:
        return f"'{value[:40]}' is no time: write 30m, 2h, 7d, 2026-01-31 or 2026-01-31T12:00."
    return None


def _check_label(value: str) -> str | None:
    return None if ":" in value else f"A label is written 'label:key:value', not 'label:{value[:40]}'."


def _check_id(value: str) -> str | None:
    if re.fullmatch(r"[0-9a-f-]{6,36}", value.lower()):
        return None
    return f"'{value[:40]}' is no id: give the whole of it, or its last six characters or more."


def _anything(_value: str) -> str | None:
    return None


def _status(word: str) -> RunStatus:
    return _OTHER_WORDS.get(word) or RunStatus(word)


def _moment(value: str, now: datetime) -> datetime | None:
    if relative := _RELATIVE.fullmatch(value):
        try:
            return now - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
        except OverflowError:
            return None
    return _absolute(value)


def _absolute(value: str) -> datetime | None:
    try:
        moment = parse_datetime(value) if "T" in value else None
        day = parse_date(value) if moment is None else None
    except ValueError:
        return None
    if day is not None:
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


CHECKS: Mapping[str, Callable[[str], str | None]] = {
    WORD: _anything,
    "status": _check_status,
    "workflow": _anything,
    "since": _check_moment,
    "until": _check_moment,
    "trigger": _anything,
    "label": _check_label,
    "node": _anything,
    "id": _check_id,
}
KEYS = [key for key in CHECKS if key]
ONCE = ("workflow", "since", "until", "trigger", "id")


def chips(query: RunQuery) -> Iterator[tuple[Term, RunQuery]]:
    """Give each condition with the query that is left without it."""
    for term in dict.fromkeys(query.terms):
        yield term, query.minus(term)
