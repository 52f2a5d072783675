"""Tables as Parquet files, and the places where they are kept."""
