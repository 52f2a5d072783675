"""The console's maps: projection, coastline, plots, sewers."""
