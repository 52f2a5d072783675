"""The log as static files for outsiders, and the monitor that follows it there."""
