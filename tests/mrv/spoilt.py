"""Formulas with one operator or number changed: plus to minus, times to divided by."""

import ast
from dataclasses import replace

from mrv.steps import Step, parsed

_OTHER = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
          ast.Pow: ast.Mult}  # fmt: skip
_CALLED = {"min": "max", "max": "min", "last": "sum", "sum": "last"}


def spoilt(steps):
    """Yield a name of the place, and the steps with the formula changed there."""
    for place, part in enumerate(steps.parts):
        if not isinstance(part, Step):
            continue
        for formula in _formulas(part.formula):
            other = replace(part, formula=formula)
            parts = (*steps.parts[:place], other, *steps.parts[place + 1 :])
            yield f"{part.name} = {formula}", replace(steps, parts=parts)


def _formulas(formula):
    count = len(list(ast.walk(parsed(formula))))
    for at in range(count):
        tree = parsed(formula)
        node = list(ast.walk(tree))[at]
        if isinstance(node, ast.BinOp):
            node.op = _OTHER[type(node.op)]()
        elif isinstance(node, ast.Constant) and isinstance(node.value, int):
            node.value += 1
        elif isinstance(node, ast.Call) and node.func.id in _CALLED:
            node.func.id = _CALLED[node.func.id]
        else:
            continue
        yield ast.unparse(tree)
