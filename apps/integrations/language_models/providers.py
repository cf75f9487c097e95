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
    `keys_at` is where a person makes a key, `begin_with` a model of it that is quick, cheap and good enough to begin.
    `telemetry_name` is what OpenTelemetry calls it, where that is not its name.
    """

    name: str
    label: str
    base_url: str = ""
    speaks_openai: bool = True
    needs_key: bool = True
    hint: str = ""
    limit: str = "max_tokens"
    keys_at: str = ""
    begin_with: str = ""
    telemetry_name: str = ""


OWN = "openai_compatible"

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "openai",
            "OpenAI",
            OPENAI,
            limit="max_completion_tokens",
            keys_at="https://platform.openai.com/api-keys",
            begin_with="gpt-5-mini",
        ),
        Kind(
            "anthropic",
            "Anthropic",
            speaks_openai=False,
            keys_at="https://console.anthropic.com/settings/keys",
            begin_with="claude-haiku-4-5",
        ),
        Kind(
            "gemini",
            "Google Gemini",
            speaks_openai=False,
            keys_at="https://aistudio.google.com/apikey",
            begin_with="gemini-flash-latest",
            telemetry_name="gcp.gemini",
        ),
        Kind(
            "mistral",
            "Mistral",
            "https://api.mistral.ai/v1",
            keys_at="https://console.mistral.ai/api-keys",
            begin_with="mistral-small-latest",
            telemetry_name="mistral_ai",
        ),
        Kind("groq", "Groq", "https://api.groq.com/openai/v1", keys_at="https://console.groq.com/keys"),
        Kind("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", keys_at="https://openrouter.ai/settings/keys"),
        Kind("deepseek", "DeepSeek", "https://api.deepseek.com/v1", keys_at="https://platform.deepseek.com/api_keys"),
        Kind("xai", "xAI", "https://api.x.ai/v1", keys_at="https://console.x.ai", telemetry_name="x_ai"),
        Kind("together_ai", "Together AI", "https://api.together.xyz/v1"),
        Kind("fireworks_ai", "Fireworks AI", "https://api.fireworks.ai/inference/v1"),
        Kind(
            "cohere_chat",
            "Cohere",
            speaks_openai=False,
            keys_at="https://dashboard.cohere.com/api-keys",
            telemetry_name="cohere",
        ),
        Kind(
            OWN,
            "Ollama or another OpenAI-compatible",
            needs_key=False,
            hint="A server of your own (Ollama, vLLM, LM Studio) or a gateway, such as http://127.0.0.1:11434/v1. "
            "An address that is not public has to be allowed: ORCHESTRA_EGRESS_ALLOW=127.0.0.1:11434 in .env does it, "
            "from the next start on.",
        ),
    )
}


def kind_of(name: str) -> Kind:
    """Give a kind of provider; of one that only litellm knows there is no more than what it is called."""
    return KINDS.get(name) or Kind(name, others().get(name, name), speaks_openai=False, needs_key=False)


def telemetry_name_of(name: str, kind: str) -> str:
    """Give what OpenTelemetry calls a provider; one of a server of one's own has only the name that it was given."""
    return name if kind == OWN or kind not in KINDS else KINDS[kind].telemetry_name or kind


def label_of(kind: str) -> str:
    """Give the name of a kind as people know it."""
    return kind_of(kind).label


def needs_address(kind: str) -> bool:
    """Tell whether nobody but the person knows where such a provider is."""
    return kind == OWN


@cache
def others() -> Mapping[str, str]:
    """Give the further kinds that litellm knows, with what people call them, in the order of that."""
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).with_name("provider_endpoints_support_backup.json")
    listed = json.loads(path.read_bytes())["providers"].items()
    labels = {name: _label(name, entry) for name, entry in listed if _answers_chats(entry) and name not in KINDS}
    return dict(sorted(labels.items(), key=lambda item: item[1].casefold()))


def _label(name: str, entry: Mapping[str, Any]) -> str:
    return str(entry.get("display_name", name)).removesuffix(f" (`{name}`)")


def _answers_chats(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("endpoints", {}).get("chat_completions"))
