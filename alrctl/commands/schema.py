"""`alrctl schema`: the contracts, for people who replace a stage."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from alrctl.options import as_command
from alrctl.session import Session
from alrctl.surface import one_of
from schemas.contract import Contract
from schemas.errors import UsageError, nearest
from schemas.tables import TABLES

EXAMPLE = "alrctl schema scores"


def schema(
    session: Session,
    table: Annotated[
        str | None,
        typer.Argument(
            help="name of a table; all are listed without", metavar="[TABLE]", autocompletion=one_of(TABLES)
        ),
    ] = None,
) -> None:
    """Print the columns of one table, or the list of tables."""
    if table is None:
        rows = [[name, f"{c.version}", (c.schema.__doc__ or "").strip()] for name, c in TABLES.items()]
        session.voice.table("Tables", ["table", "version", "what it holds"], rows)
        session.voice.document({name: describe(contract) for name, contract in TABLES.items()})
        return
    contract = TABLES.get(table.removesuffix(".parquet"))
    if contract is None:
        raise UsageError(f"no table '{table}'{nearest(table, TABLES)}; `alrctl schema` lists them")
    rows = [
        [column["name"], column["type"], "yes" if column["optional"] else "", column["description"]]
        for column in describe(contract)["columns"]
    ]
    session.voice.say(f"{contract.schema.__doc__}")
    session.voice.table(f"{contract.name}, version {contract.version}", ["column", "type", "may be left out", ""], rows)
    session.voice.document({contract.name: describe(contract)})


def describe(contract: Contract) -> dict[str, Any]:
    """Return a contract as JSON can hold it."""
    columns = [
        {
            "name": name,
            "type": str(column.dtype).lower(),
            "nullable": column.nullable,
            "key": column.primary_key,
            "optional": name in contract.optional,
            "description": column.description or "",
        }
        for name, column in contract.schema.columns().items()
    ]
    return {"version": contract.version, "about": (contract.schema.__doc__ or "").strip(), "columns": columns}


COMMAND = as_command(schema, plain=True)
