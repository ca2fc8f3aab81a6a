"""The source's own rules, so that no reader has to hold them by hand."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "watchkeeper"
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers", "base", "core"}
PATTERN_CALLS = {"compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
FILE_LAYER = {"store/files.py", "store/state/db.py"}
GENERATED = re.compile(r"_pb2\.py$|/state/versions/")

TO_CODE = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
    *("pickle.load", "pickle.loads", "marshal.load", "marshal.loads", "shelve.open"),
    *("yaml.load", "yaml.safe_load", "yaml.unsafe_load", "yaml.full_load"),
    *("json.load", "json.loads"),  # stdlib json takes NaN and recurses without bound
}

# Functions that may be longer than others, and why.
ONE_PAGE = {"app/wiring.py build": "the machine on one page: each line joins two parts and decides nothing"}

# Where a pattern of `re` is put together, and why that is safe.
OWN_PATTERNS = {
    "model/pattern.py": "the one door for patterns from outside; RE2",
}


@cache
def modules() -> dict[str, ast.Module]:
    found = {str(file.relative_to(SOURCE)): file for file in sorted(SOURCE.rglob("*.py"))}
    return {
        name: ast.parse(file.read_text("utf-8"), name)
        for name, file in found.items()
        if not GENERATED.search(f"/{name}") and "static" not in name
    }


def nodes(kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> Iterator[tuple[str, ast.AST]]:
    for name, tree in modules().items():
        yield from ((name, node) for node in ast.walk(tree) if isinstance(node, kind))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def test_modules_stay_short() -> None:
    lengths = {name: len((SOURCE / name).read_text("utf-8").splitlines()) for name in modules()}
    assert {name: length for name, length in lengths.items() if length > MODULE_LINES_MAX} == {}


def test_functions_stay_short() -> None:
    long = [
        f"{name}:{node.lineno} {node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for name, node in nodes((ast.FunctionDef, ast.AsyncFunctionDef))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
        and not _only_defines(node)
        and f"{name} {node.name}" not in ONE_PAGE
    ]
    assert long == []


def _only_defines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether a function's length is that of the functions it makes, such as the handlers of some routes."""
    own = sum((child.end_lineno or 0) - child.lineno + 1 for child in node.body if not _is_function(child))
    return any(_is_function(child) for child in node.body) and own <= FUNCTION_LINES_MAX


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def test_no_name_is_a_drawer() -> None:
    paths = [name for name in modules() if DRAWERS & set(re.split(r"[/_.]", name))]
    classes = [
        f"{name}:{node.lineno} {node.name}"
        for name, node in nodes(ast.ClassDef)
        if isinstance(node, ast.ClassDef) and re.search(r"(Util|Helper|Manager|Misc)s?$", node.name)
    ]
    assert paths + classes == []


def test_no_regular_expression_from_outside_reaches_re() -> None:
    """`re` hangs on hostile patterns: it may only see literals; patterns from outside go through model.pattern."""
    found = []
    for name, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        where, _, call = dotted(node.func).rpartition(".")
        if where == "re" and call in PATTERN_CALLS and node.args and not _is_own(node.args[0]):
            found.append(f"{name}:{node.lineno}")
    assert [place for place in found if place.split(":")[0] not in OWN_PATTERNS] == []


def _is_own(pattern: ast.expr) -> bool:
    """Say whether an expression is made of literals and of constants, named in capitals, alone."""
    names = [node for node in ast.walk(pattern) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)}  # the variables of comprehensions
    used = {node.id for node in names} - made - {"re", "map", "sorted", "len", "max"}
    return all(re.fullmatch(r"_*[A-Z][A-Z0-9_]*", name) for name in used)


def test_nothing_from_outside_becomes_code() -> None:
    found = [
        f"{name}:{node.lineno} {dotted(node.func)}"
        for name, node in nodes(ast.Call)
        if isinstance(node, ast.Call) and dotted(node.func) in TO_CODE
    ]
    assert found == []


def test_no_shell_is_asked() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, node in nodes(ast.Call)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
    ]
    assert found == []


def test_the_store_touches_files_through_its_file_layer_alone() -> None:
    """Else a broken disk could not be played in tests."""
    found = []
    for name, node in nodes((ast.Import, ast.ImportFrom, ast.Call)):
        if not name.startswith("store/") or name in FILE_LAYER:
            continue
        if isinstance(node, ast.Import):
            imported = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported = [(node.module or "").split(".")[0]]
        else:
            imported = ["open"] if isinstance(node, ast.Call) and dotted(node.func) == "open" else []
        if {"os", "pathlib", "shutil", "tempfile", "mmap", "open"} & set(imported):
            found.append(f"{name}:{getattr(node, 'lineno', 0)} {imported}")
    assert found == []


def test_nothing_of_one_machine_is_in_the_source() -> None:
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        text = file.read_text("utf-8")
        found += [f"{file.relative_to(SOURCE)}: {home}" for home in ("work", "root") if f"/{home}/" in text]
    assert found == []


def test_every_path_that_architecture_names_exists() -> None:
    page = ROOT / "ARCHITECTURE.md"
    if not page.exists():
        pytest.skip("ARCHITECTURE.md is not written yet")
    named = re.findall(
        r"`((?:src/|tests/|docs/|ui/|bench/|tools/|examples/)?[\w./-]+/[\w./-]*|[\w/-]+\.py)`", page.read_text("utf-8")
    )
    gone = [path for path in named if not _is_there(path)]
    assert gone == []


def _is_there(path: str) -> bool:
    if path.startswith("/") or "…" in path:
        return True  # a URL
    return any((place / path).exists() for place in (ROOT, SOURCE, ROOT / "src"))
