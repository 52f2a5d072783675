"""Registry data for an account: projects, calibrations, plans, systems."""
