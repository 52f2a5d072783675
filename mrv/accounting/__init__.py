"""From interval quantities to the account of a monitoring period: baseline, project, leakage."""
