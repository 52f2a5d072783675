"""The API that auditors pull from: HTTP in front of the store and the issuer."""
