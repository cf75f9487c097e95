"""The Django project: settings, entry points and the embedded services."""

__version__ = "0.1.0"
