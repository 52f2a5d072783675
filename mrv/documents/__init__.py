"""
The signed documents and the plan extract as types, with required and optional fields.

`form` reads and writes documents; `statement`, `verification`, `finding`, `sampling_list`,
`status_list` and `plan` hold the types; `schemas` their JSON Schema.  Digests and proofs are
calculated from the JSON as read, never from a type written again.
"""
