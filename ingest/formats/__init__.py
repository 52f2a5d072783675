"""What published formats mean, apart from how their bytes are written."""
