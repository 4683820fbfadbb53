"""Migrations written in Python, as syntax trees: they are parsed, and never run or imported."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Mapping

from ansible_collections.incidentctl.response.plugins.module_utils._migration import UnclearError

DEEPEST = 300  # parts of an expression within each other; real migrations have a dozen
_LEAVES = frozenset({tokenize.STRING, tokenize.NUMBER, tokenize.NL, tokenize.COMMENT})


def parse(text: str) -> ast.Module:
    """Return the tree of a program. Raise UnclearError if it is none, or is nested so deeply that parsing it is a risk."""
    try:
        _require_shallow(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in somebody's string is no news in an incident
            return ast.parse(text)
    except (SyntaxError, ValueError, tokenize.TokenError, RecursionError, MemoryError) as error:
        if isinstance(error, UnclearError):
            raise
        raise UnclearError("Python of this host cannot parse it") from error


def _require_shallow(text: str) -> None:
    """Deep trees overflow the stack of older interpreters, which ends the process: so depth is bounded beforehand.

    In each open bracket, what stands since its last comma may at worst be nested as deep as it has words and signs; but
    a comma between the arguments of a lambda ends nothing.
    """
    open_brackets, deepest, branches, lambdas = [0], 0, 0, 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NEWLINE or token.string == ";":
            open_brackets, lambdas = [0], 0
        elif token.type == tokenize.OP and token.string in "([{":
            open_brackets[-1] += 1
            open_brackets.append(0)
        elif token.type == tokenize.OP and token.string in ")]}":
            open_brackets = open_brackets[:-1] or [0]
        elif token.string == ",":
            open_brackets[-1] = min(open_brackets[-1], lambdas)
        elif token.type == tokenize.STRING:
            # Up to Python 3.11 an f-string is one word, and what stands in its braces is parsed all the same.
            is_template = "f" in token.string[:2].lower() and "{" in token.string
            open_brackets[-1] += sum(not c.isalnum() for c in token.string) if is_template else 0
        elif token.type not in _LEAVES:
            open_brackets[-1] += 1
            branches += token.string == "elif"
            lambdas += token.string == "lambda"
        deepest = max(deepest, sum(open_brackets) if len(open_brackets) < DEEPEST else DEEPEST + 1)
        if deepest > DEEPEST or branches > DEEPEST:
            raise UnclearError("its expressions are nested too deeply")


def dotted(node: ast.AST | None) -> str:
    """Return `a.b.c` for a name or a chain of attributes, "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """Return an argument of a call, by its name or place; None if it is not given. Raise UnclearError for `*` and `**`."""
    if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
        raise UnclearError("its arguments are put together when it runs")
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[position] if position is not None and position < len(call.args) else None


def words(node: ast.expr | None, constants: Mapping[str, ast.expr]) -> str | None:
    """Return the text that an expression is without being run: a literal, a constant of the file, sa.text(literal)."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name) and node.id in constants:
        return words(constants[node.id], {})
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = words(node.left, constants), words(node.right, constants)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.Call) and dotted(node.func) in ("sa.text", "text", "sqlalchemy.text", "op.f", "batch_op.f"):
        return words(node.args[0], constants) if len(node.args) == 1 and not node.keywords else None
    return None


def name_of(node: ast.expr | None, constants: Mapping[str, ast.expr]) -> str:
    """Return the name that an expression gives, or words that say that it is only known when it runs."""
    return words(node, constants) or "(named when it runs)"


def truth(node: ast.expr | None, default: bool) -> bool | None:
    """Return True or False as an expression says, `default` if there is none, None if it is only known when it runs."""
    if node is None:
        return default
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, bool) else None


def is_none(node: ast.expr | None) -> bool:
    """Tell whether an expression is the literal None."""
    return isinstance(node, ast.Constant) and node.value is None


def constants(body: list[ast.stmt]) -> dict[str, ast.expr]:
    """Return what names of a file or function are bound to, of those that are bound once and by a plain assignment."""
    found: dict[str, ast.expr] = {}
    twice: set[str] = set()
    for one in body:
        targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
        value = one.value if isinstance(one, (ast.Assign, ast.AnnAssign)) else None
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                twice |= {target.id} & found.keys()
                found[target.id] = value
    return {name: value for name, value in found.items() if name not in twice}


def is_silent(statement: ast.stmt) -> bool:
    """Tell whether a statement does nothing: `pass`, `...`, a docstring."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def meaning(tree: ast.Module) -> str:
    """Return what a file says, the same for two that differ only in layout, comments, docstrings and unused imports."""
    body = [one for one in tree.body if not is_silent(one)]
    imports = [one for one in body if isinstance(one, (ast.Import, ast.ImportFrom))]
    rest = [one for one in body if one not in imports]
    used = {node.id for one in rest for node in ast.walk(one) if isinstance(node, ast.Name)}
    bound = {
        (getattr(one, "module", None) or "", word.name, word.asname)
        for one in imports
        for word in one.names
        if (word.asname or word.name).split(".")[0] in used or word.name == "*"
    }
    return "\n".join([*map(str, sorted(bound, key=str)), *map(ast.dump, rest)])
