"""Taking in the text of a definition, in any dialect, as a workflow."""

from apps.accounts.models import Organization
from apps.common import json, yaml
from apps.workflows.services.definitions import check_definition
from apps.workflows.services.versions import Saved, Source, save_workflow

MAX_BYTES = max(json.MAX_BYTES, yaml.MAX_BYTES)


def import_definition(*, organization: Organization, raw: bytes, by: str) -> Saved:
    """Save what a file says; raises BadRequest for what cannot be read, and Invalid with every issue."""
    is_json = raw.lstrip()[:1] in {b"{", b"["}
    document = json.loads(raw) if is_json else yaml.loads(raw)
    checked = check_definition(document)
    source = Source(raw.decode(), "json" if is_json else "yaml")
    return save_workflow(organization=organization, checked=checked, source=source, by=by, message="Imported.")
