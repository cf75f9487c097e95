"""The one place that imports litellm, which knows the protocols of the providers that speak their own.

It is imported at the first question that needs it, as that takes seconds and 190 MiB. Its requests go through the
egress rules, its keys are passed with each call, and its telemetry, callbacks, retries and caches are off.
"""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any

from apps.common.errors import Fatal, Retryable
from apps.integrations.egress import EgressRefused, checked_transport, client
from apps.integrations.language_models.openai_chat import SILENCE_SECONDS, Reading, body
from apps.integrations.language_models.provider_errors import refusal, words_in
from apps.integrations.language_models.registry import Hear
from apps.integrations.language_models.shapes import Reply, Request

_importing = threading.Lock()


def is_installed() -> bool:
    """Tell whether litellm is there, without importing it."""
    return find_spec("litellm") is not None


@dataclass
class LiteLLMChat:
    """A model of a provider that litellm knows."""

    name: str  # `<provider>/<model>`, in errors and records
    kind: str  # litellm's name of the provider
    model: str
    base_url: str = ""
    key: str = field(repr=False, default="")
    description: str = ""
    is_demo: bool = False

    async def answer(self, request: Request, hear: Hear) -> Reply:
        """Give the answer, and tell each piece of its text; raises Retryable or Fatal as `provider_errors` says."""
        if not is_installed():
            message = f"{self.name} needs the package litellm, which is not installed here."
            raise Fatal(message, code="litellm_missing")
        litellm = await asyncio.to_thread(_litellm)
        try:
            answer = await litellm.acompletion(**self._asked(request))
            return await Reading(self.name, hear, request).read(_chunks(answer))
        except (Fatal, Retryable):
            raise
        except litellm.exceptions.Timeout:
            raise Retryable(f"{self.name} took too long.", code="timeout", in_doubt=True) from None
        except Exception as error:  # noqa: BLE001 - whatever it raises, in which of its own
            raise self._failure(error) from None

    def _asked(self, request: Request) -> dict[str, Any]:
        asked = body(f"{self.kind}/{self.model}", request)
        return asked | {
            "api_key": self.key or None,
            "api_base": self.base_url or None,
            "client": _client(),
            "num_retries": 0,
            "max_retries": 0,
            "timeout": SILENCE_SECONDS,
            "drop_params": True,
        }

    def _failure(self, error: Exception) -> Fatal | Retryable:
        """What an error of litellm means; one of the egress rules may be at the bottom of it."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, EgressRefused | Fatal):
                return cause
            cause = cause.__cause__ or cause.__context__
        status = getattr(error, "status_code", None)
        headers = getattr(error, "litellm_response_headers", None) or {}
        return refusal(
            self.name, status if isinstance(status, int) else 500, words_in(str(error)), headers, key=self.key
        )


async def _chunks(answer: Any) -> AsyncIterator[Any]:
    async for chunk in answer:
        yield chunk.model_dump()


def _client() -> Any:
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler  # noqa: PLC0415

    handler = AsyncHTTPHandler(transport=checked_transport(), follow_redirects=False)
    handler.client = client()  # one that it does not own: the connections are everybody's, and it would close them
    return handler


@cache
def _litellm() -> Any:
    with _importing:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else the import asks the network
        os.environ.setdefault("LITELLM_MODE", "PRODUCTION")  # else it reads a .env file
        import litellm  # noqa: PLC0415

        logging.getLogger("LiteLLM").setLevel(logging.WARNING)
        litellm.telemetry = False
        litellm.suppress_debug_info = True
        litellm.disable_aiohttp_transport = True
        litellm.callbacks, litellm.success_callback, litellm.failure_callback = [], [], []
        return litellm
