-- Read models are built again beside the live ones. Each rebuild has a schema of its own, rebuilding_<projection>, in
-- which table, indexes and constraints have their names from the start: the swap moves them, and nothing has to be
-- renamed. What a rebuild parks stands there too, in a table like the live one.
--
-- The functions run as the owner of the read models, as the application's role owns nothing. They touch the tables of
-- the list alone, which `migrate` keeps.

CREATE TABLE read_models (
    projection text NOT NULL COLLATE "C",
    table_name text NOT NULL COLLATE "C",
    CONSTRAINT read_models_pkey PRIMARY KEY (projection),
    CONSTRAINT read_models_table_key UNIQUE (table_name)
);

-- Where a table that was replaced is kept, if it is.
CREATE SCHEMA replaced;

-- SQLSTATEs of the bank's own, class BK:
--   BK101  no such read model    BK102  the table has what a rebuild would lose    BK103  the shadow is out of date

CREATE FUNCTION live_read_model(projection text) RETURNS regclass
LANGUAGE plpgsql STABLE
SET search_path = public, pg_temp
AS $$
DECLARE
    found regclass;
BEGIN
    SELECT format('public.%I', r.table_name)::regclass INTO found
    FROM read_models AS r WHERE r.projection = live_read_model.projection;
    IF found IS NULL THEN
        RAISE EXCEPTION '% is no read model: run migrate', projection USING ERRCODE = 'BK101';
    END IF;
    RETURN found;
END
$$;

CREATE FUNCTION shadow_schema(projection text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    -- PostgreSQL would cut a longer name, to one that another projection may have too.
    IF octet_length(projection) > 52 THEN
        RAISE EXCEPTION 'the name % is too long for a schema', projection USING ERRCODE = 'BK101';
    END IF;
    RETURN 'rebuilding_' || projection;
END
$$;

CREATE FUNCTION shadow_read_model(projection text) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = public, pg_temp
AS $$
    SELECT to_regclass(format('%I.%I', shadow_schema(r.projection), r.table_name))
    FROM read_models AS r WHERE r.projection = shadow_read_model.projection
$$;

-- Describe all that a table is but its rows and its place, one line for each part, so that two tables can be compared.
CREATE FUNCTION table_definition(wanted regclass) RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH described AS (
        SELECT c.*, format('%I.%I', n.nspname, c.relname) AS full_name
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = wanted
    ), lines (line) AS (
        SELECT format('table owner %s, kind %s %s, method %s, tablespace %s, options %s, identity %s, policies %s %s, %s',
                      relowner::regrole, relkind, relpersistence, relam, reltablespace, reloptions, relreplident,
                      relrowsecurity, relforcerowsecurity, obj_description(oid, 'pg_class'))
        FROM described
        UNION ALL
        SELECT format('column %s %I %s collation %s, not null %s, default %s, identity %s, generated %s, storage %s %s, '
                      'statistics %s, options %s, %s',
                      row_number() OVER (ORDER BY a.attnum), a.attname, format_type(a.atttypid, a.atttypmod),
                      a.attcollation, a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated,
                      a.attstorage, a.attcompression, coalesce(nullif(a.attstattarget, -1), -1), a.attoptions,
                      col_description(a.attrelid, a.attnum))
        FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = wanted AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT format('constraint %I %s, validated %s, %s',
                      conname, pg_get_constraintdef(oid), convalidated, obj_description(oid, 'pg_constraint'))
        FROM pg_constraint WHERE conrelid = wanted
        UNION ALL
        SELECT format('index %s, valid %s, clustered %s, identity %s, %s',
                      replace(pg_get_indexdef(i.indexrelid), ' ON ' || d.full_name || ' ', ' ON it '),
                      i.indisvalid, i.indisclustered, i.indisreplident, obj_description(i.indexrelid, 'pg_class'))
        FROM pg_index AS i CROSS JOIN described AS d WHERE i.indrelid = wanted
        UNION ALL
        SELECT format('privilege of %s: %s %s', a.grantee::regrole, a.privilege_type, a.is_grantable)
        FROM described AS d CROSS JOIN aclexplode(coalesce(d.relacl, acldefault('r', d.relowner))) AS a
        UNION ALL
        SELECT format('privilege of %s on %I: %s %s', e.grantee::regrole, a.attname, e.privilege_type, e.is_grantable)
        FROM pg_attribute AS a CROSS JOIN aclexplode(a.attacl) AS e WHERE a.attrelid = wanted AND NOT a.attisdropped
        UNION ALL
        SELECT format('sequence %I of column %s %s', s.relname, d.refobjsubid, d.deptype)
        FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = wanted
        UNION ALL
        SELECT format('statistics %I on %s', stxname, pg_get_statisticsobjdef_columns(oid))
        FROM pg_statistic_ext WHERE stxrelid = wanted
        UNION ALL
        SELECT format('trigger %I', tgname) FROM pg_trigger WHERE tgrelid = wanted
        UNION ALL
        SELECT format('policy %I', polname) FROM pg_policy WHERE polrelid = wanted
        UNION ALL
        SELECT format('rule %s of %s', r.rulename, r.ev_class::regclass)
        FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = wanted
        UNION ALL
        SELECT format('foreign key %I of %s', conname, conrelid::regclass) FROM pg_constraint WHERE confrelid = wanted
        UNION ALL
        SELECT format('relative %s', CASE inhrelid WHEN wanted THEN inhparent ELSE inhrelid END::regclass)
        FROM pg_inherits WHERE wanted IN (inhrelid, inhparent)
        UNION ALL
        SELECT format('publication %I', p.pubname)
        FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid WHERE r.prrelid = wanted
    )
    SELECT array_agg(DISTINCT line ORDER BY line) FROM lines
$$;

-- Raise unless the shadow is what the live table is. Without `with_keys`, what only comes at the end may be missing.
CREATE FUNCTION require_same_definition(live regclass, shadow regclass, with_keys boolean, error_code text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = public, pg_temp
AS $$
DECLARE
    differences text;
BEGIN
    SELECT string_agg(line, '; ' ORDER BY line) INTO differences
    FROM (
        (SELECT unnest(table_definition(live)) EXCEPT SELECT unnest(table_definition(shadow)))
        UNION ALL
        (SELECT unnest(table_definition(shadow)) EXCEPT SELECT unnest(table_definition(live)))
    ) AS different (line)
    WHERE with_keys OR line !~ '^(index|constraint .* (PRIMARY KEY|UNIQUE|EXCLUDE)) ';
    IF differences IS NOT NULL THEN
        RAISE EXCEPTION '% cannot take the place of %: %', shadow, live, differences USING ERRCODE = error_code;
    END IF;
END
$$;

-- Give everybody what they may do with `source`, and no more, on `target`, its columns among it.
CREATE FUNCTION copy_privileges(source regclass, target regclass) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = public, pg_temp
AS $$
DECLARE
    kind CONSTANT text := (SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END FROM pg_class WHERE oid = source);
    held record;
BEGIN
    -- Default privileges may have given some.
    FOR held IN
        SELECT DISTINCT a.grantee FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS a
        WHERE c.oid = target AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s', kind, target,
                       CASE held.grantee WHEN 0 THEN 'PUBLIC' ELSE held.grantee::regrole::text END);
    END LOOP;
    FOR held IN
        SELECT a.grantee, a.privilege_type, a.is_grantable, '' AS column_list
        FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS a WHERE c.oid = source
        UNION ALL
        SELECT a.grantee, a.privilege_type, a.is_grantable, format('(%I)', c.attname)
        FROM pg_attribute AS c CROSS JOIN aclexplode(c.attacl) AS a WHERE c.attrelid = source AND NOT c.attisdropped
    LOOP
        EXECUTE format('GRANT %s %s ON %s %s TO %s %s', held.privilege_type, held.column_list, kind, target,
                       CASE held.grantee WHEN 0 THEN 'PUBLIC' ELSE held.grantee::regrole::text END,
                       CASE WHEN held.is_grantable THEN 'WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END
$$;

-- Make an empty table like `source` in another schema, with all but its indexes and what stands on them.
CREATE FUNCTION copy_table(source regclass, target_schema text) RETURNS regclass
LANGUAGE plpgsql VOLATILE
SET search_path = public, pg_temp
AS $$
DECLARE
    described CONSTANT pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = source);
    full_name CONSTANT text := format('%I.%I', target_schema, described.relname);
    owned record;
BEGIN
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES)', full_name, source);
    IF described.reloptions IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s SET (%s)', full_name, array_to_string(described.reloptions, ', '));
    END IF;
    EXECUTE format('COMMENT ON TABLE %s IS %L', full_name, obj_description(source, 'pg_class'));
    EXECUTE format('ALTER TABLE %s OWNER TO %s', full_name, described.relowner::regrole);
    PERFORM copy_privileges(source, full_name::regclass);
    -- The sequences behind identity columns got the names that they had.
    FOR owned IN
        SELECT s.oid AS source_sequence, format('%I.%I', target_schema, s.relname)::regclass AS target_sequence
        FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = source
          AND d.deptype = 'i'
    LOOP
        PERFORM copy_privileges(owned.source_sequence, owned.target_sequence);
    END LOOP;
    RETURN full_name::regclass;
END
$$;

-- Give `target` the indexes of `source` that it has not got, and the constraints that stand on them, under their names.
CREATE FUNCTION copy_indexes(source regclass, target regclass, only_primary_key boolean) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT x.relname AS name, c.conname, c.oid AS constraint_id, i.indexrelid,
               pg_get_constraintdef(c.oid) AS constraint_definition, pg_get_indexdef(i.indexrelid) AS definition,
               obj_description(i.indexrelid, 'pg_class') AS remark, obj_description(c.oid, 'pg_constraint') AS constraint_remark
        FROM pg_index AS i
        JOIN pg_class AS x ON x.oid = i.indexrelid
        LEFT JOIN pg_constraint AS c ON c.conindid = i.indexrelid AND c.conrelid = source
        WHERE i.indrelid = source AND (i.indisprimary OR NOT only_primary_key) AND NOT EXISTS (
            SELECT 1 FROM pg_index AS own JOIN pg_class AS own_name ON own_name.oid = own.indexrelid
            WHERE own.indrelid = target AND own_name.relname = x.relname
        )
        ORDER BY i.indexrelid
    LOOP
        IF wanted.conname IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', target, wanted.conname, wanted.constraint_definition);
            EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', wanted.conname, target, wanted.constraint_remark);
        ELSE
            EXECUTE replace(wanted.definition, format(' ON %s ', source), format(' ON %s ', target));
        END IF;
        EXECUTE format('COMMENT ON INDEX %s.%I IS %L',
                       (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = target), wanted.name, wanted.remark);
    END LOOP;
END
$$;

-- Make an empty shadow of a read model, in place of one that there may be; with its primary key if rows are to be found
-- again while it is filled.
CREATE FUNCTION make_shadow(projection text, with_primary_key boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    live   CONSTANT regclass := live_read_model(projection);
    schema CONSTANT text := shadow_schema(projection);
    shadow regclass;
    reader record;
BEGIN
    EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', live);
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', schema);
    EXECUTE format('CREATE SCHEMA %I', schema);
    FOR reader IN
        SELECT DISTINCT a.grantee FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS a
        WHERE c.oid = live AND a.grantee <> 0
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', schema, reader.grantee::regrole);
    END LOOP;
    shadow := copy_table(live, schema);
    PERFORM require_same_definition(live, shadow, false, 'BK102');
    IF with_primary_key THEN
        PERFORM copy_indexes(live, shadow, true);
    END IF;
    PERFORM copy_indexes('projection_failures', copy_table('projection_failures', schema), false);
END
$$;

-- Give a filled shadow its indexes and statistics.
CREATE FUNCTION index_shadow(projection text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    live   CONSTANT regclass := live_read_model(projection);
    shadow CONSTANT regclass := shadow_read_model(projection);
BEGIN
    PERFORM copy_indexes(live, shadow, false);
    PERFORM require_same_definition(live, shadow, true, 'BK103');
    EXECUTE format('ANALYZE %s', shadow);
END
$$;

-- Keep the definition of a live read model as it is until the transaction ends, and vacuums away: reads and writes go
-- on. Raises if it is no longer that of the shadow.
CREATE FUNCTION hold_read_model(projection text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', live_read_model(projection));
    PERFORM require_same_definition(live_read_model(projection), shadow_read_model(projection), true, 'BK103');
END
$$;

-- Put a shadow in the place of the live read model, which hold_read_model has. Locks it against everybody, and waits
-- for that no longer than the caller's lock_timeout; from then to the commit all readers wait.
CREATE FUNCTION swap_shadow(projection text, keep boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    live   CONSTANT regclass := live_read_model(projection);
    shadow CONSTANT regclass := shadow_read_model(projection);
    schema CONSTANT text := shadow_schema(projection);
    name   CONSTANT name := (SELECT relname FROM pg_class WHERE oid = live);
BEGIN
    EXECUTE format('DROP TABLE %I.projection_failures', schema);
    IF keep THEN
        EXECUTE format('DROP TABLE IF EXISTS replaced.%I', name);
    END IF;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', live);
    IF keep THEN
        EXECUTE format('ALTER TABLE %s SET SCHEMA replaced', live);
    ELSE
        EXECUTE format('DROP TABLE %s', live);
    END IF;
    EXECUTE format('ALTER TABLE %s SET SCHEMA public', shadow);
    EXECUTE format('DROP SCHEMA %I', schema);
END
$$;

-- Drop the shadow of a read model, if there is one.
CREATE FUNCTION drop_shadow(projection text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    PERFORM live_read_model(projection);
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', shadow_schema(projection));
END
$$;

REVOKE EXECUTE ON FUNCTION make_shadow, index_shadow, hold_read_model, swap_shadow, drop_shadow FROM PUBLIC;
