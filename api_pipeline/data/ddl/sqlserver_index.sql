-- How the scripts for SQL Server make an index: each of their CREATE INDEX statements is put in here. A table of the
-- council's own, a view or a synonym need not be able to have it (see the head of sqlserver.sql).

IF EXISTS (SELECT 1 FROM sys.tables WHERE object_id = OBJECT_ID(N'{table}'))
   AND NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'{table}') AND name = N'{index}')
BEGIN TRY
    CREATE INDEX {index} ON {table} {columns};
END TRY
BEGIN CATCH
    IF ERROR_NUMBER() NOT IN (1913, 1919, 1944, 2714) THROW;
END CATCH;
