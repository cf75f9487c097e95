"""When a cron expression fires: pure sums on the clock of a time zone.

A fixed time (`30 2 * * *`) fires once a day whatever the clocks do: where the hour is skipped, at the first moment
after the gap, and where it comes twice, the first time. An interval (a `*` in the minute or the hour, or six fields)
goes on with real time: it fires in both of the doubled hours and not in the one that does not exist.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
# How far back is looked for the latest times: each look is short, or finds enough.
_LOOKS = tuple(timedelta(seconds=seconds) for seconds in (120, 3600, 86_400, 3_000_000, 40_000_000, 2_000_000_000))


class CronError(ValueError):
    """A cron expression or time zone that cannot be read; `field` says which of the two."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def check(cron: str, zone: str, now: datetime) -> None:
    """Raises CronError unless the expression can be read and ever fires."""
    if zone not in _zones():
        raise CronError("timezone", f"'{zone[:80]}' is no time zone of the IANA database, such as Europe/Berlin.")
    try:
        found = next_times(cron, zone, now, 1)
    except CronSimError as error:
        raise CronError("cron", f"'{cron[:80]}' is no cron expression: {str(error).lower()}.") from None
    if not found:
        raise CronError("cron", f"'{cron[:80]}' never fires.")


@cache
def _zones() -> set[str]:
    """What the IANA database has; reading it takes a walk through many files."""
    return available_timezones()


def next_times(cron: str, zone: str, after: datetime, count: int) -> list[datetime]:
    """The next times after a moment, in UTC."""
    return list(islice(_times(cron, zone, after), count))


def latest_times(cron: str, zone: str, since: datetime, until: datetime, most: int) -> list[datetime]:
    """The latest times from `since` to `until`, both included: `most`, or fewer where there are not so many."""
    found: deque[datetime] = deque(maxlen=most)
    for back in _LOOKS:
        begin = max(since, until - back)
        times = _times(cron, zone, begin - timedelta(microseconds=1))
        found = deque(takewhile(lambda moment: moment <= until, times), maxlen=most)
        if len(found) == most or begin == since:
            break
    return list(found)


def _times(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Every time after a moment, in UTC and strictly increasing.

    Two fixed times that fall into a gap of the clock become one, and the library may begin with the first of the two
    hours of which the moment lies in the second.
    """
    last = after
    for local in CronSim(NAMED.get(cron.strip().lower(), cron), after.astimezone(ZoneInfo(zone))):
        moment = local.astimezone(UTC)
        if moment > last:
            last = moment
            yield moment
