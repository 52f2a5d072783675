"""Output of commands: tables, times, amounts, counts, progress bars."""
