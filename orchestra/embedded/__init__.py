"""PostgreSQL and Valkey from wheels: for `bin/up`, where there is no other, and for the tests.

Both run in the foreground as children of who starts them, listen on loopback only, ask for a generated password, and
keep everything in one directory. Root starts them as an unprivileged user, because PostgreSQL refuses to be root.
"""

from orchestra.embedded.errors import EmbeddedError
from orchestra.embedded.facts import free_port, listen
from orchestra.embedded.places import reachable, remove_state, service_directory, unprivileged_account
from orchestra.embedded.postgres import Postgres, prepare_postgres
from orchestra.embedded.valkey import Valkey, prepare_valkey

__all__ = [
    "EmbeddedError",
    "Postgres",
    "Valkey",
    "free_port",
    "listen",
    "prepare_postgres",
    "prepare_valkey",
    "reachable",
    "remove_state",
    "service_directory",
    "unprivileged_account",
]
