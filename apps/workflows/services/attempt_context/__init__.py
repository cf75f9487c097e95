"""What the handler of a claimed node run sees of its run, each subject in a module of its own."""

from apps.workflows.services.attempt_context.context import AttemptContext

__all__ = ["AttemptContext"]
