"""The database: sessions, tables, migrations; SQLite or PostgreSQL; copies for backups and moves."""
