"""
Identities for brokers: certificates, passwords, and what each principal may do.

Files only: no broker and no database is asked here.
"""
