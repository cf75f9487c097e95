"""From what a person sent to a checked definition."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from apps.agents import registry as agents
from apps.agents.sdk import BaseNode
from apps.common.errors import ErrorItem, Invalid
from apps.common.json import JSON, dumps
from apps.workflows.engine import dialects
from apps.workflows.engine.compiler import Compiled, compile_definition
from apps.workflows.engine.errors import DefinitionError, Issue
from apps.workflows.services.known_names import known_names


@dataclass(frozen=True)
class Checked:
    """A definition that may be saved or run."""

    compiled: Compiled
    dialect: str
    warnings: list[Issue]

    @cached_property
    def document(self) -> JSON:
        """The canonical form."""
        return self.compiled.definition.document()

    @cached_property
    def digest(self) -> str:
        """What makes two definitions the same: SHA-256 of the canonical form, in its order."""
        return hashlib.sha256(dumps(self.document)).hexdigest()


def check_definition(document: JSON, *, at: str = "") -> Checked:
    """The checked definition of a document in any dialect; raises Invalid with every issue and its place.

    `at` is where the document stands in what was sent.
    """
    try:
        loaded = dialects.load(document, node_classes=node_classes())
        try:
            compiled = compile_definition(loaded.definition, known_names())
        except DefinitionError as error:
            raise DefinitionError([loaded.relocate(issue) for issue in error.issues]) from None
    except DefinitionError as error:
        raise invalid_definition(error, at) from None
    return Checked(compiled, loaded.dialect, [loaded.relocate(warning) for warning in compiled.warnings])


def canonical_form(document: JSON) -> tuple[str, JSON]:
    """The dialect of a document, and the document in canonical form; raises Invalid. Names are not checked."""
    try:
        loaded = dialects.load(document, node_classes=node_classes())
    except DefinitionError as error:
        raise invalid_definition(error) from None
    return loaded.dialect, loaded.definition.document()


def invalid_definition(error: DefinitionError, at: str = "") -> Invalid:
    """The API's error for a document that cannot be used."""
    count = len(error.issues)
    first = error.issues[0]
    problems = "1 problem" if count == 1 else f"{count} problems"
    detail = f"The definition has {problems}. {first.pointer or 'At the top'}: {first.message}"
    items = [ErrorItem(at + issue.pointer, issue.code, issue.message, issue.fix) for issue in error.issues]
    return Invalid(detail, code="invalid_definition", errors=items)


def node_classes() -> dict[str, tuple[str, ...] | None]:
    """The node classes of the state-machine dialect, each with the targets it declares."""
    return {agent.name: agent.targets or None for agent in agents.all() if issubclass(agent.agent, BaseNode)}
