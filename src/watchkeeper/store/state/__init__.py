"""State: users, sessions, keys, dashboards, silences, notification log, inbox, audit; SQLite or PostgreSQL."""
