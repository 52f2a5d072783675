"""How commands print: tables, times, amounts, counts, progress."""
