"""
The edge outbox: store and forward for what cannot be changed in the field.

Sources record on disk; a link forwards, under the gateway's own identity, what its
devices measured, and keeps each message until its receipt.
"""
