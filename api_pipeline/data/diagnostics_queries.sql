-- Every statement of test-db-connection and test-schema. They read catalogues; none touches a row of a table.

-- name: select_one
-- Shows that a statement can be run at all.
SELECT 1;

-- name: database_sqlserver
-- The database that the connection is in.
SELECT DB_NAME();

-- name: database_postgresql
-- The database that the connection is in.
SELECT current_database();

-- name: login_sqlserver
-- The login by which the server knows us.
SELECT SUSER_SNAME();

-- name: login_postgresql
-- The role by which the server knows us.
SELECT session_user;

-- name: version_sqlserver
-- The server's product, version and edition.
SELECT @@VERSION;

-- name: version_postgresql
-- The server's product and version.
SELECT version();

-- name: version_sqlite
-- The version of the library that reads the file.
SELECT 'SQLite ' || sqlite_version();

-- name: columns_sqlserver
-- Name, type, greatest length in characters and nullability of the columns of a table or view. Every login sees here
-- what it may use, and no other right is needed.
SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, CASE WHEN IS_NULLABLE = 'NO' THEN 0 ELSE 1 END
FROM INFORMATION_SCHEMA.COLUMNS
WHERE TABLE_NAME = ? AND TABLE_SCHEMA = ?
ORDER BY ORDINAL_POSITION;

-- name: schema_sqlserver
-- The schema in which the server looks for a table that is named without one, before it looks in dbo.
SELECT SCHEMA_NAME();

-- name: columns_seen_sqlserver
-- Reads no row: shows the columns of what is not a table or view of this database, such as what a synonym stands for.
SELECT * FROM {any_table} WHERE 1 = 0;

-- name: columns_postgresql
-- Name, type (with its length) and nullability of the columns of a table, looked for where a statement would. Of a domain
-- it is the type that the domain is made of.
SELECT attname, CASE WHEN typtype = 'd' THEN format_type(typbasetype, typtypmod)
                     ELSE format_type(atttypid, atttypmod) END, NULL, CASE WHEN attnotnull THEN 0 ELSE 1 END
FROM pg_attribute
JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = to_regclass(CAST(? AS TEXT)) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum;

-- name: columns_sqlite
-- Name, type and nullability of the columns of a table.
SELECT name, type, NULL, CASE WHEN "notnull" = 1 THEN 0 ELSE 1 END
FROM pragma_table_info(?, ?)
ORDER BY cid;

-- name: elsewhere_sqlserver
-- Schemas that have a table or view of this name: a wrong schema is the commonest mistake.
SELECT TABLE_SCHEMA
FROM INFORMATION_SCHEMA.TABLES
WHERE LOWER(TABLE_NAME) = LOWER(?)
ORDER BY TABLE_SCHEMA;

-- name: elsewhere_postgresql
-- Schemas that have a table or view of this name: a wrong schema is the commonest mistake.
SELECT table_schema
FROM information_schema.tables
WHERE LOWER(table_name) = LOWER(?)
ORDER BY table_schema;

-- name: staging_tables_server
-- Tables and views of any schema that have the columns by which a staging table is known.
SELECT TABLE_SCHEMA, TABLE_NAME
FROM INFORMATION_SCHEMA.COLUMNS
WHERE LOWER(COLUMN_NAME) IN ('person_id', 'json_payload', 'submission_status', 'row_state', 'current_hash')
GROUP BY TABLE_SCHEMA, TABLE_NAME
HAVING COUNT(*) = 5
ORDER BY TABLE_SCHEMA, TABLE_NAME;

-- name: staging_tables_sqlite
-- Tables and views that have the columns by which a staging table is known.
SELECT '', found.name
FROM sqlite_master AS found JOIN pragma_table_info(found.name) AS part
WHERE found.type IN ('table', 'view')
  AND LOWER(part.name) IN ('person_id', 'json_payload', 'submission_status', 'row_state', 'current_hash')
GROUP BY found.name
HAVING COUNT(*) = 5
ORDER BY found.name;
