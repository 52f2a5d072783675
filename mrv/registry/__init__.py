"""What the registry says that an account needs: projects, calibrations, plans, systems."""
