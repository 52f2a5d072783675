"""Commands of stored data: intervals, quality, rebuild, archive, dead letters, migrate."""
