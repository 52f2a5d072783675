"""From decoded frames to committed rows: commit, reprocess, rebuild, quality pass, indicators."""
