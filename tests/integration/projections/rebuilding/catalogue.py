"""What PostgreSQL's catalogue says of a table, but for its place: read here without the bank's own function for it."""

from typing import Any

from django.db import connection

ASPECTS = {
    "columns": """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation, a.attnotnull, a.attidentity,
               pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum), a.attstorage
        FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 ORDER BY a.attnum
    """,
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename = %(table)s ORDER BY indexname
    """,
    "remarks on indexes": """
        SELECT c.relname, obj_description(c.oid) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid = %(table)s::regclass ORDER BY c.relname
    """,
    "constraints": """
        SELECT conname, contype, pg_get_constraintdef(oid), connamespace::regnamespace::text,
               conindid::regclass::text
        FROM pg_constraint WHERE conrelid = %(table)s::regclass ORDER BY conname
    """,
    "privileges": """
        SELECT grantee, privilege_type, is_grantable FROM information_schema.table_privileges
        WHERE table_schema = 'public' AND table_name = %(table)s ORDER BY grantee, privilege_type
    """,
    "privileges on columns": """
        SELECT attname, attacl::text FROM pg_attribute
        WHERE attrelid = %(table)s::regclass AND attacl IS NOT NULL ORDER BY attname
    """,
    "sequences": """
        SELECT s.relname, s.relnamespace::regnamespace::text, s.relacl::text, d.refobjsubid, d.deptype
        FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
        WHERE d.refobjid = %(table)s::regclass ORDER BY s.relname
    """,
    "table": """
        SELECT relowner::regrole::text, reloptions, relkind, relpersistence, relreplident, obj_description(oid)
        FROM pg_class WHERE oid = %(table)s::regclass
    """,
    "types": """
        SELECT typname, typnamespace::regnamespace::text FROM pg_type
        WHERE typrelid = %(table)s::regclass
           OR typelem = (SELECT reltype FROM pg_class WHERE oid = %(table)s::regclass) ORDER BY typname
    """,
}


def definition_of(table: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that the table is, by aspect."""
    with connection.cursor() as cursor:
        found = {}
        for aspect, query in ASPECTS.items():
            cursor.execute(query, {"table": table})
            found[aspect] = cursor.fetchall()
        return found


def identity_of(table: str) -> int:
    """Return the number of the table that has the name now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::regclass::oid::bigint", [table])
        [number] = cursor.fetchone()
        return int(number)


def shadows() -> list[str]:
    """Return the schemas of rebuilds that were not ended."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rebuilding%' ORDER BY nspname")
        return [name for (name,) in cursor.fetchall()]
