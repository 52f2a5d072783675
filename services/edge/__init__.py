"""
Gateway software in the field: stores readings of local devices and forwards them.

Sources record on disk; the uplink forwards the messages under the gateway's own identity, and keeps
each until its receipt.
"""
