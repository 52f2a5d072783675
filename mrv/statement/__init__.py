"""
The statement: its claims, signatories and evidence.

`plan_extract` is the registry's part of the evidence, `evidence` the measured part, `compose` the
statement's text, `credentials` its signatures, `states` the order of steps.  One function composes
the statement for the closing operator and for the checking auditor; types are in `mrv.documents`.
"""
