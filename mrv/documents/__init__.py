"""
The signed documents and the plan extract as types, with required and optional fields.

`form` says how a document is read and written; `statement`, `verification`,
`finding`, `sampling_list`, `status_list` and `plan` hold the types; `schemas`
their JSON Schema.  A type is a view of what was signed: digests and proofs are
made over the JSON that was read, never over a type that was written again.
"""
