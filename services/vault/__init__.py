"""Tables as Parquet files, and their storage places."""
