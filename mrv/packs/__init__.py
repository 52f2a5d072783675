"""
Evidence packs as files: their documents and tables, written and read.

The only room of `mrv` that opens files.  `pack` is what stands in a pack, `reader`
reads one from a folder, `tables` its Parquet files by the columns of `columns`.
"""
