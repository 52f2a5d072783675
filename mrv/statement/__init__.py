"""
The statement: what is said of a monitoring period, by whom, on which evidence.

`plan` is the registry's part of the evidence, `evidence` the measured part,
`body` the words of the statement, `credentials` who signs them, `life` the
order of the steps.  One function writes the body for the operator who closes
and for the auditor who checks.
"""
