-- The statements of `anonymise`, beside those of queries.sql. The live table ({source}) is read only; what is written
-- goes to the anonymised copy ({target}), a table whose name ends in _anon, and to no other. The program checks that name itself.

-- name: has_columns
-- Sees that a table has the columns that are needed; reads no row.
SELECT {columns}
FROM {table}
WHERE 1 = 0;

-- name: read_page
-- Reads the next page of live rows, of which the anonymised copy is made; the first page has no lower bound. Where the driver
-- cannot decode a text, the ids alone are read, and then each row.
SELECT {columns}
FROM {source}
WHERE id IS NOT NULL {after}
ORDER BY id {page};

-- name: count_copy
-- Counts the rows that the anonymised copy holds: before, as a copy with rows is only replaced with --replace, and after,
-- as it must hold every record then.
SELECT COUNT(*)
FROM {target};

-- name: empty_copy
-- Takes all rows out of the anonymised copy (--replace), in the transaction that puts the new ones in.
DELETE FROM {target};

-- name: insert_copy
-- Puts invented records into the anonymised copy, as many rows of values as one statement takes; the database gives
-- the ids.
INSERT INTO {target} ({columns})
VALUES ({values});
