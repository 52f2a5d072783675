"""Commands of the registry: sites, devices, projects, plans, factors."""
