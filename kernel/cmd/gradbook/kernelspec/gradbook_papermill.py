"""Parameters of Go notebooks for papermill, which knows no Go by itself.

On the command line this file stands where papermill would:

    python gradbook_papermill.py lesson.ipynb deep.ipynb -p layers 20 -p activation relu

From Python: import it (it is beside the kernel's kernel.json), and call register() before papermill.execute_notebook.

A parameter is assigned to a variable that the notebook declares, in its cell tagged "parameters"; the compiler says if the two do not fit.
"""
import json
import math
import re


def literal(value):
    """Return a parameter as a Go expression. A list whose elements are alike is a slice of their type; else it is a []any."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "math.NaN()"
        if math.isinf(value):
            return "math.Inf(1)" if value > 0 else "math.Inf(-1)"
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[]" + common(value) + "{" + ", ".join(map(literal, value)) + "}"
    if isinstance(value, dict):
        pairs = (literal(str(key)) + ": " + literal(v) for key, v in value.items())
        return "map[string]" + common(value.values()) + "{" + ", ".join(pairs) + "}"
    # JSON's strings are Go's, but for the byte order mark, which no Go source may hold.
    return json.dumps(str(value), ensure_ascii=False).replace("\ufeff", "\\ufeff")


def common(values):
    """Return the Go type that all values have."""
    kinds = {type(v) for v in values}
    for types, name in (({bool}, "bool"), ({int}, "int"), ({int, float}, "float64"), ({str}, "string")):
        if kinds and kinds <= types:
            return name
    return "any"


DECLARATION = re.compile(
    r"^(?:(?:var|const)\s+)?(?P<name>[^\W\d]\w*)(?:\s+(?P<type>[^=:/]+?))?\s*:?=\s*(?P<value>.+?)(?:\s*//\s*(?P<help>.*))?$")


def declarations(source):
    """Return name, type, value and comment of the variables that a cell declares, one a line, as its text has them."""
    found = (DECLARATION.match(line.strip()) for line in source.splitlines())
    return [(m["name"], m["type"] or "None", m["value"], m["help"] or "") for m in found if m]


def register():
    """Make Go known to papermill, for this kernel and for all whose language is Go."""
    from papermill.models import Parameter
    from papermill.translators import Translator, papermill_translators

    class GoTranslator(Translator):
        @classmethod
        def translate(cls, val):
            return literal(val)

        @classmethod
        def comment(cls, cmt_str):
            return f"// {cmt_str}".strip()

        @classmethod
        def inspect(cls, parameters_cell):
            return [Parameter(*found) for found in declarations(parameters_cell["source"])]

    for name in ("gradbook", "go"):
        papermill_translators.register(name, GoTranslator)


if __name__ == "__main__":
    from papermill.__main__ import papermill

    register()
    papermill()
