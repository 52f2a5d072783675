"""The log as static files for third parties, and its monitor."""
