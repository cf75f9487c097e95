"""A process that reads a message and holds it until it is killed: `bus_reader ORGANIZATION CHANNEL GROUP`."""

import os
import sys
import time
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra.settings")
django.setup()

from apps.agents.bus import exchange as bus  # noqa: E402 - the settings come first


def main(organization: str, channel: str, group: str) -> None:
    """Say what was read, and go on as if the work took for ever."""
    reader = bus.Reader(UUID(organization), channel, group, lease=1)
    message = reader.read(wait=30)
    sys.stdout.write(f"{message.payload if message else None}\n")
    sys.stdout.flush()
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
