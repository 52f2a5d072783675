"""Identities for brokers: certificates, passwords, and permissions of each principal, as files."""
