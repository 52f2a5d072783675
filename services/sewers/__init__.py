"""The sewerage registry: assets in files, and checks of the network."""
