"""A witness of transparency logs (C2SP): cosigns heads that extend earlier ones."""
