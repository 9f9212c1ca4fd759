"""Other servers between or below the real processes: an old PostgreSQL, PgBouncer."""
