"""Tables of the registry: sites, devices, projects, plans, factors, credentials, keys."""
