"""How the program speaks to a database, apart from the connection itself: text in, text out.

It loads the named statements of `data/*.sql` (`statements`), checks and quotes table names (`identifiers`), and makes
the packaged DDL (`ddl`). It knows what the tables must look like (`expected_tables`) and how one that is there differs
(`table_comparison`). It reads connection strings, and turns an ODBC driver's refusal to connect into a sentence
(`odbc_errors`). It uses `common` and `errors` alone and opens nothing; `db` above it does. Start reading at
`statements`, then `data/queries.sql`.
"""
