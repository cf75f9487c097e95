"""What an organization has set up for a name, in one statement: it is asked before every question to a model."""

from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection, models

from apps.common.database import first_row
from apps.integrations.models import ModelProvider, ModelSetting, Secret

_TABLES: tuple[tuple[str, type[models.Model]], ...] = (("s", ModelSetting), ("p", ModelProvider), ("k", Secret))
_ROWS = """
select {columns} from (select 1) one
left join integrations_modelsetting s on s.organization_id = %(organization)s
    and (s.name = %(name)s or (%(name)s = '' and s.is_default))
left join integrations_modelprovider p on p.id = coalesce(s.provider_id, (select id from integrations_modelprovider
    where organization_id = %(organization)s and name = %(provider)s))
left join integrations_secret k on k.id = p.key_id
"""


def rows_for(organization_id: UUID, name: str, provider: str = "") -> tuple[ModelSetting | None, ModelProvider | None]:
    """Give the setting of that name (of no name: the default one) with its provider and key.

    Where there is none, give the provider of that name in its place.
    """
    values = iter(first_row(_statement(), organization=organization_id, name=name, provider=provider) or ())
    setting, served_by, key = (_row(model, values) for _, model in _TABLES)
    if served_by is not None:
        served_by.key = key
    if setting is not None:
        setting.provider = served_by
    return setting, served_by


@cache
def _statement() -> str:
    columns = [f"{alias}.{field.column}" for alias, model in _TABLES for field in model._meta.concrete_fields]
    return _ROWS.format(columns=", ".join(columns))


def _row(model: type[models.Model], values: Any) -> Any:
    """The model's next columns as a row of it; None where the join has found none."""
    fields = model._meta.concrete_fields
    found = [_value(field, next(values)) for field in fields]
    return None if found[0] is None else model.from_db(connection.alias, [field.attname for field in fields], found)


def _value(field: Any, value: Any) -> Any:
    return field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
