"""How one signs in, for the OpenAPI document."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes keys and tokens."""

    target_class = "apps.accounts.callers.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, str]:
        """Give the scheme."""
        return {"type": "http", "scheme": "bearer", "description": "An API key (`ork_live_...`) or an access token."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes the browser's session."""

    target_class = "apps.accounts.callers.SessionAuthentication"
    name = "session"

    def get_security_definition(self, _auto_schema: Any) -> dict[str, str]:
        """Give the scheme."""
        text = "The browser's session; everything but reading needs the header `X-CSRFToken` as well."
        return {"type": "apiKey", "in": "cookie", "name": "orchestra_session", "description": text}
