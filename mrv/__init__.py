"""The core of monitoring, reporting and verification: from intervals to a signed statement."""
