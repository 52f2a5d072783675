"""The API for auditors: HTTP in front of the store and the issuer."""
