"""A student's version of a chapter: no outputs, no solutions.

An exercise is a text with a stub, then cells tagged `solution`. The stub
becomes a cell of its own. From the solution go the statements that define the
names of the stub; what is left is the self-check, which needs them. So the
check of the chapter and the one of the student are the same lines.
"""

import ast
import re

from nbformat.v4 import new_code_cell, new_markdown_cell

from .execute import METADATA

FENCE = re.compile(r"^```\{(exercise|solution)-(start|end)\}(.*?)^```$\n?", re.M | re.S)
LABEL = re.compile(r":label: *(\S+)")
STUB = re.compile(r"^```python\n(.*?)^```$\n?", re.M | re.S)
TO_DO = "Fill in the next cell. The cell below it fails until you have."


def defined(node: ast.stmt) -> set[str]:
    """The names that a statement at the top of a cell defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    return {
        x.id
        for target in getattr(node, "targets", ())
        for x in ast.walk(target)
        if isinstance(x, ast.Name)
    }


def without(source: str, names: set[str]) -> str:
    """`source` without the statements that define one of `names`."""
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if defined(node) & names:
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines).strip("\n")


def version(nb):
    """The student's version of the chapter `nb`, which is left as it is.

    Raises:
        ValueError: a solution has no stub before it.
    """
    made, label, stub, inside = [], "", "", ""
    for cell in nb.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            parts = FENCE.split(cell.source)
            text = "" if inside == "solution" else parts[0]
            for what, where, head, after in zip(*[iter(parts[1:])] * 4):
                inside = what if where == "start" else ""
                if inside == "exercise":
                    label = LABEL.search(head)[1]
                    stub = STUB.search(after)[1].strip("\n")
                    after = STUB.sub(TO_DO + "\n", after)
                    text += f"**Exercise {label}**\n\n"
                text += "" if inside == "solution" else after
            if text.strip() and "badge" not in tags:
                made.append(new_markdown_cell(text.strip("\n"), id=cell.id))
        elif "solution" not in tags:
            made.append(new_code_cell(cell.source, id=cell.id, metadata=cell.metadata))
        else:
            if not label:
                raise ValueError(f"the solution in {cell.id} has no stub before it")
            if stub:
                names = set().union(*map(defined, ast.parse(stub).body))
                made.append(new_code_cell(stub, id=label))
                stub = ""
            made.append(new_code_cell(without(cell.source, names), id=cell.id))
    return type(nb)(nb | {"cells": made, "metadata": METADATA})
