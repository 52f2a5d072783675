"""
Evidence packs as files: their documents and tables, written and read.

The only package of `mrv` that opens files: `pack` describes the contents, `reader` reads a folder,
`tables` reads and writes the Parquet files with the columns of `columns`.
"""
