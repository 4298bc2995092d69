"""Where the keys of personal text are kept, wrapped: the port, and its adapters for SQLite and PostgreSQL."""
