"""What goes wrong with embedded services."""


class EmbeddedError(Exception):
    """An embedded service cannot run here; the text says why and what to do."""
