"""Sealed days as Parquet files on a disk or an object store, and restoring them."""
