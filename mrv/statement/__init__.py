"""
The statement: claims for a monitoring period, signatories and evidence.

`plan_extract` is the registry's part of the evidence, `evidence` the measured part,
`compose` the words of the statement, `credentials` who signs them, `states` the
order of the steps.  One function composes the statement for the operator who closes
and for the auditor who checks; its types stand in `mrv.documents`.
"""
