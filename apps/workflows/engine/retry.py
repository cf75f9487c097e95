"""When a failed attempt is tried again: exponential backoff with full jitter.

Full jitter as in "Exponential Backoff And Jitter" (Brooker, AWS Architecture Blog, 2015):
the delay is uniform between zero and the capped exponential, so that many failures at one
moment do not come back at one moment.
"""

from dataclasses import dataclass

LEAST_REST, LONGEST_REST = 0.5, 5.0  # seconds between two looks for room


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a node is tried in all, and how long it rests between two attempts (seconds)."""

    attempts: int = 1
    delay: float = 1.0
    backoff: float = 2.0
    max_delay: float = 60.0
    jitter: bool = True


def next_delay(
    policy: RetryPolicy, *, attempt: int, retryable: bool, randomness: float, retry_after: float | None = None
) -> float | None:
    """Seconds until the next attempt, or None when there is none.

    `attempt` is the number of the attempt that just failed (1 the first), `randomness` a number
    from 0 up to 1, `retry_after` what the other side asked for: it is the least that is waited.
    """
    if not retryable or attempt >= policy.attempts:
        return None
    ceiling = min(policy.max_delay, policy.delay * policy.backoff ** min(attempt - 1, 64))
    delay = ceiling * randomness if policy.jitter else ceiling
    return max(delay, retry_after or 0.0)


def next_look(*, earlier: int, randomness: float, retry_after: float | None = None) -> float:
    """Seconds until an attempt that found no room for its call looks again.

    `earlier` is how often it has looked in vain before: it rests about as long as it has waited, up to a limit.
    """
    rest = min(LONGEST_REST, LEAST_REST * 2.0 ** min(earlier, 64))
    return max(rest, retry_after or 0.0) + rest * randomness
