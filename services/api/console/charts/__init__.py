"""Charts as SVG, drawn on the server: the same on a screen, without scripts and on paper."""
