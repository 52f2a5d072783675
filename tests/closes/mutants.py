"""
Sampled mutations of the rules: does a golden close detect each?

    python -m tests.closes.mutants --count 60 --seed 45 --closes 40

One operator, number or function of mrv/rules and mrv/accounting is changed in a fork.  A sample of
the closes that run through it is closed again, so the number of detected mutations is a lower
bound.  Mutations that no close detects are listed with their line.
"""

import argparse
import ast
import importlib
import json
import os
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import CodeType, FunctionType

from tests.closes import corpus

ROOT = Path(__file__).parents[2]
ROOMS = ("mrv/rules", "mrv/accounting")
SWAPPED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
CALLED = {"max": "min", "min": "max", "any": "all", "all": "any"}


def sites(tree, names=()):
    """Yield each node that may be changed, with the names of its function."""
    for node in ast.iter_child_nodes(tree):
        inner = names
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and isinstance(
            tree, ast.Module | ast.ClassDef
        ):
            inner = (*names, node.name)
        if isinstance(node, ast.arguments):  # defaults are made once, when a module is read
            continue
        if inner and changed(node, do=False):
            yield inner, node
        yield from sites(node, inner)


def changed(node, *, do=True):
    """Change a node; return whether it could be changed."""
    match node:
        case ast.Compare(ops=[one, *_]) if type(one) in SWAPPED:
            if do:
                node.ops[0] = SWAPPED[type(one)]()
        case ast.BinOp(op=one) | ast.BoolOp(op=one) if type(one) in SWAPPED:
            if do:
                node.op = SWAPPED[type(one)]()
        case ast.Constant(value=int()) if type(node.value) is int:
            if do:
                node.value += 1
        case ast.Call(func=ast.Name(id=name)) if name in CALLED:
            if do:
                node.func.id = CALLED[name]
        case _:
            return False
    return True


def function(path, names):
    """
    Return the function of a module that the product calls; None if it
    is not a plain function.
    """
    found = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    for name in names:
        found = vars(found).get(name)
        found = getattr(found, "fget", None) or getattr(found, "func", None) or found
        found = getattr(found, "__func__", found)
        found = getattr(found, "__wrapped__", found)
        if found is None:
            return None
    return found if isinstance(found, FunctionType) else None


def spoil(path, number):
    """Give a function the code that it has with one slip."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    names, node = [*sites(tree)][number]
    changed(node)
    one = function(path, names)
    code = compile(ast.fix_missing_locations(tree), one.__code__.co_filename, "exec")
    for name in names:
        code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
    one.__code__ = code


def chosen(count, seed):
    """Return some mutations: file, number, names of the function, line."""
    found = []
    for room in ROOMS:
        for file in sorted((ROOT / room).glob("*.py")):
            path = str(file.relative_to(ROOT))
            for number, (names, node) in enumerate(sites(ast.parse(file.read_text("utf-8")))):
                if function(path, names) is not None:
                    found.append((path, number, names, node.lineno))
    some = random.Random(seed).sample(found, count)  # noqa: S311 - the same again, no secret
    return some, len(found)


def through(functions, names, close):
    """Return the closes that run through each function's code."""
    found = defaultdict(list)
    for name in names:
        ran = set()
        sys.setprofile(lambda frame, *_, ran=ran: ran.add(frame.f_code))
        close(name)
        sys.setprofile(None)
        for code in functions & ran:
            found[code].append(name)
    return found


def noticed(slip, names, close, expected):
    """Return whether one of the closes has another result, in a separate process."""
    if not (child := os.fork()):
        try:
            spoil(*slip)
            os._exit(int(any(close(name) != expected[name] for name in names)))
        except Exception:  # noqa: BLE001 - a close that ends in an error is noticed
            os._exit(1)
    return bool(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def main():
    """Print the number of detected mutations, and each undetected one."""
    parser = argparse.ArgumentParser(prog="python -m tests.closes.mutants", description=__doc__)
    for name, usual in (("count", 60), ("seed", 45), ("closes", 40)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    slips, of = chosen(asked.count, asked.seed)
    closes, books = corpus.read()
    books, expected = corpus.books_of(books), corpus.expected()
    names = [name for name in sorted(closes) if corpus.rules_of(name) != "1"]
    names = random.Random(asked.seed).sample(names, min(len(names), 5 * asked.closes))  # noqa: S311

    def close(name):
        return corpus.closed(name, closes, books)

    codes = {function(path, inner).__code__ for path, _, inner, _ in slips}
    runs, found = through(codes, names, close), Counter()
    for path, number, inner, line in slips:
        some = runs[function(path, inner).__code__][: asked.closes]
        said = "runs through no close"
        if some:
            said = "noticed" if noticed((path, number), some, close, expected) else "not noticed"
        found[said] += 1
        if said != "noticed":
            sys.stdout.write(f"{path}:{line} {'.'.join(inner)}: {said}\n")
    sys.stdout.write(f"{json.dumps({'slips': asked.count, 'of': of, **found})}\n")


if __name__ == "__main__":
    main()
