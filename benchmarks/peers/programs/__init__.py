"""The peers' own processes. Each runs in an environment of its own, without Django and without Orchestra."""
