"""
The edge outbox: store and forward for devices that cannot be changed.

Sources record on disk; a link forwards, under the gateway's own identity, what its
devices measured, and keeps each message until its receipt.
"""
