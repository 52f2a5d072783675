"""
From decoded readings to committed rows: commit, reprocessing, rebuild, quality tests,
indicators.
"""
