"""
Identities for brokers: certificates, passwords, and permissions of each principal.

Files only: no broker and no database is asked here.
"""
