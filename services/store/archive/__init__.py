"""Tables of the archive, and archived readings beside those of the database."""
