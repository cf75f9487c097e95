"""Times that run out in this process: for looking now and then, and for losing patience."""

import time


class Interval:
    """So many seconds, again and again."""

    def __init__(self, seconds: float, *, is_over: bool = False) -> None:
        self._seconds = seconds
        self._ends = 0.0 if is_over else time.monotonic() + seconds

    def start(self) -> None:
        """Begin again."""
        self._ends = time.monotonic() + self._seconds

    @property
    def is_over(self) -> bool:
        """Tell whether they have passed."""
        return time.monotonic() >= self._ends

    def take(self) -> bool:
        """Tell whether they have passed, and begin again when they have."""
        if not self.is_over:
            return False
        self.start()
        return True
