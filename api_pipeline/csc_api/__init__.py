"""The Children's Social Care API on the wire: one request, and what its answer means. Knows no database."""
