"""Charts as SVG, drawn on the server, for screen and paper without scripts."""
