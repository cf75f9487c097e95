from tests.workflows.conftest import room

__all__ = ["room"]
