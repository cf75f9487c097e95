"""What models cost: dollars for a million tokens, which is millionths of a dollar for one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from apps.integrations.language_models.shapes import Usage

MILLION = Decimal(1_000_000)
USUAL_MOST_TOKENS = 4096  # of an answer that is to fit a budget, where nobody has said how long it may be


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens in, known from before, and out; and the tokens that an answer may have at most."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    most_output_tokens: int | None = None

    def of(self, usage: Usage) -> int:
        """Give what that many tokens cost, in millionths of a dollar, rounded up."""
        cached = min(usage.cached_tokens, usage.input_tokens)
        cached_price = self.input if self.cached is None else self.cached
        exact = (usage.input_tokens - cached) * self.input + cached * cached_price + usage.output_tokens * self.output
        return int(exact.to_integral_value(ROUND_UP))

    def most(self, characters: int, output_tokens: int) -> int:
        """Give the most that a question of so many bytes can cost: no tokenizer makes more tokens than bytes."""
        return self.of(Usage(input_tokens=characters, output_tokens=output_tokens))


FREE = Price(Decimal(0), Decimal(0))


def known_price(kind: str, model: str) -> Price | None:
    """Give what litellm's list says of a provider's model; None where it does not know it."""
    listed = _listed()
    return listed.get(f"{kind}/{model}") or listed.get(model)


def known_models(kind: str) -> list[str]:
    """Give the chat models of a provider that litellm's list knows, as the provider calls them."""
    return sorted(_models_by_provider().get(kind, ()))


@cache
def _listed() -> Mapping[str, Price]:
    return {name: price for name, entry in _entries().items() if (price := _price(entry)) is not None}


@cache
def _models_by_provider() -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, entry in _entries().items():
        if entry.get("mode") in {"chat", "responses"}:
            provider = str(entry.get("litellm_provider", ""))
            found.setdefault(provider, set()).add(name.removeprefix(f"{provider}/"))
    return found


def _entries() -> Mapping[str, Mapping[str, Any]]:
    """Litellm's list, read without importing litellm, which takes seconds."""
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).with_name("model_prices_and_context_window_backup.json")
    entries: Mapping[str, Mapping[str, Any]] = json.loads(path.read_bytes(), parse_float=Decimal)
    return {name: entry for name, entry in entries.items() if name != "sample_spec"}


def _price(entry: Mapping[str, Any]) -> Price | None:
    asked, answered = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    if asked is None or answered is None:
        return None
    cached, most = entry.get("cache_read_input_token_cost"), entry.get("max_output_tokens")
    return Price(
        Decimal(asked) * MILLION,
        Decimal(answered) * MILLION,
        None if cached is None else Decimal(cached) * MILLION,
        most if isinstance(most, int) else None,
    )
