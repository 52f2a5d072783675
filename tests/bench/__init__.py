"""How fast it is here: `make bench`."""
