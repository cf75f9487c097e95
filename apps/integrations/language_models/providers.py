"""Who serves language models, and how to speak to them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

OPENAI = "https://api.openai.com/v1"


@dataclass(frozen=True)
class Kind:
    """A kind of provider; `base_url` is where it is, empty where the person says or litellm knows.

    `limit` is what it calls the bound of an answer's tokens: OpenAI's models that reason refuse `max_tokens`.
    `telemetry_name` is what OpenTelemetry calls it, where that is not its name.
    """

    name: str
    label: str
    base_url: str = ""
    speaks_openai: bool = True
    needs_key: bool = True
    hint: str = ""
    limit: str = "max_tokens"
    telemetry_name: str = ""


OWN = "openai_compatible"

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("openai", "OpenAI", OPENAI, limit="max_completion_tokens"),
        Kind("anthropic", "Anthropic", speaks_openai=False),
        Kind("gemini", "Google Gemini", speaks_openai=False, telemetry_name="gcp.gemini"),
        Kind("mistral", "Mistral", "https://api.mistral.ai/v1", telemetry_name="mistral_ai"),
        Kind("groq", "Groq", "https://api.groq.com/openai/v1"),
        Kind("openrouter", "OpenRouter", "https://openrouter.ai/api/v1"),
        Kind("deepseek", "DeepSeek", "https://api.deepseek.com/v1"),
        Kind("xai", "xAI", "https://api.x.ai/v1", telemetry_name="x_ai"),
        Kind("together_ai", "Together AI", "https://api.together.xyz/v1"),
        Kind("fireworks_ai", "Fireworks AI", "https://api.fireworks.ai/inference/v1"),
        Kind("cohere_chat", "Cohere", speaks_openai=False, telemetry_name="cohere"),
        Kind(
            OWN,
            "Another that speaks OpenAI's protocol",
            needs_key=False,
            hint="A server of your own (Ollama, vLLM, LM Studio) or a gateway, such as http://127.0.0.1:11434/v1. "
            "The operator allows an address that is not public with ORCHESTRA_EGRESS_ALLOW.",
        ),
    )
}


def telemetry_name_of(name: str, kind: str) -> str:
    """Give what OpenTelemetry calls a provider; one of a server of one's own has only the name that it was given."""
    return name if kind == OWN or kind not in KINDS else KINDS[kind].telemetry_name or kind


def label_of(kind: str) -> str:
    """Give the name of a kind as people know it."""
    return KINDS[kind].label if kind in KINDS else kind


def needs_address(kind: str) -> bool:
    """Tell whether nobody but the person knows where such a provider is."""
    return kind == OWN


@cache
def others() -> tuple[str, ...]:
    """Give the further kinds that litellm knows, by its own names."""
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return ()
    path = Path(spec.origin).with_name("provider_endpoints_support_backup.json")
    listed = json.loads(path.read_bytes())["providers"].items()
    return tuple(sorted(name for name, entry in listed if _answers_chats(entry) and name not in KINDS))


def _answers_chats(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("endpoints", {}).get("chat_completions"))
