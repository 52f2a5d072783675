"""
The statement: its claims, signatories and evidence.

`plan_extract` is the registry's part of the evidence, `evidence` the measured part, `compose` the
statement's text, `credentials` its signatures, `states` the order of steps.  The same function
composes the statement for the operator who closes a period and for the auditor who checks it; types
are in `mrv.documents`.
"""
