"""What can go wrong, as exceptions that carry all a person or a program needs to go on.

DomainError
├── BadRequest          400  malformed, or a value that is not allowed
├── Unauthenticated     401
├── PermissionDenied    403
├── NotFound            404  also for what belongs to another organization
├── Conflict            409
├── PreconditionFailed  412  a stale ETag
├── TooLarge            413
├── Invalid             422  well-formed, but means nothing that could be done
├── TooManyRequests     429
└── Unavailable         503  a part that is needed does not answer
Retryable, Fatal        what tools and agents raise
└── NotNow                  there is no room for it yet; the attempt counts as none
DidNotHappen            what the lookup of a tool raises
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class ErrorItem:
    """One thing wrong with a request: where (a JSON Pointer into it), what, and how to mend it."""

    pointer: str
    code: str
    message: str
    fix: str | None = None

    def as_json(self) -> dict[str, str]:
        """Give the item as it stands in a problem document."""
        item = {"pointer": self.pointer, "code": self.code, "message": self.message}
        return item if self.fix is None else {**item, "fix": self.fix}


class DomainError(Exception):
    """An act that cannot be done, with a stable code, a sentence for people and its HTTP status."""

    status: ClassVar[int] = 500
    code: str = "error"
    title: ClassVar[str] = "Error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[ErrorItem] = (),
        retry_after: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.extra = dict(extra or {})


class BadRequest(DomainError):
    """The request is malformed."""

    status = 400
    code = "bad_request"
    title = "Bad request"


class Unauthenticated(DomainError):
    """Nobody is signed in, or the key or token is not valid (any more)."""

    status = 401
    code = "unauthenticated"
    title = "Not signed in"


class PermissionDenied(DomainError):
    """The role does not allow this."""

    status = 403
    code = "permission_denied"
    title = "Not allowed"


class NotFound(DomainError):
    """There is no such thing, as far as the caller may know."""

    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(DomainError):
    """The state of the thing does not allow this now."""

    status = 409
    code = "conflict"
    title = "Conflict"


class PreconditionFailed(DomainError):
    """The thing has changed since the caller read it."""

    status = 412
    code = "precondition_failed"
    title = "Changed in the meantime"


class TooLarge(DomainError):
    """The request or a part of it is larger than allowed."""

    status = 413
    code = "too_large"
    title = "Too large"


class Invalid(DomainError):
    """The document can be read, but not used."""

    status = 422
    code = "invalid"
    title = "Invalid document"


class TooManyRequests(DomainError):
    """The caller has used up what is allowed for now."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"


class Unavailable(DomainError):
    """A part that is needed does not answer at the moment."""

    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"


class Retryable(Exception):
    """A tool or an agent failed in a way that may go better the next time."""

    def __init__(
        self, message: str, *, retry_after: float | None = None, code: str = "retryable", in_doubt: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after  # seconds that the other side asked for
        self.code = code
        self.in_doubt = in_doubt  # the call went out, and may have taken effect


class NotNow(Retryable):
    """Nothing went wrong, but the work cannot be done yet: it comes back by itself, and the attempt counts as none."""


class Fatal(Exception):
    """A tool or an agent failed in a way that trying again will not mend."""

    def __init__(self, message: str, *, code: str = "fatal", in_doubt: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.in_doubt = in_doubt  # the call went out, and may have taken effect


class DidNotHappen(Exception):
    """A tool's lookup has found out that the call took no effect, so it may be made."""
