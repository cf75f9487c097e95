"""`python -m tests.golden.resume <dump>`: fills an empty database, migrates it to the present, and resumes all.

A process of its own, as a database of its own and migrations back and forth are nothing for the tests' own.
"""

import json
import os
import sys
from pathlib import Path

import django


def main(path: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra.settings")
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - after Django is ready
    from django_scopes import scopes_disabled  # noqa: PLC0415

    from apps.accounts.models import Organization  # noqa: PLC0415
    from tests.golden import dumps, in_flight  # noqa: PLC0415
    from tests.workflows.engine_room import EngineRoom  # noqa: PLC0415

    dumped = json.loads(path.read_text())
    for app, migration in dumped["migrations"].items():
        call_command("migrate", app, migration, verbosity=0)
    dumps.load(dumped)
    call_command("migrate", verbosity=0)
    with scopes_disabled():
        organization = Organization.objects.get()
    ends = in_flight.resume_all(EngineRoom(organization))
    finished = {run: output for run, output in in_flight.finished_nodes().items() if run in dumped["finished"]}
    json.dump({"ends": ends, "finished": finished}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
