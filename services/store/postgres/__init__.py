"""PostgreSQL itself: connections, migrations, COPY, timestamps, the columnstore."""
