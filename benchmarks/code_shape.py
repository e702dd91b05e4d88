"""Print the shape of the code: language, sizes, layering.

    python benchmarks/code_shape.py [--worst] [--json]

`--worst` adds the banned names with file and line, and the longest functions.
`tests/test_language.py` holds banned names and parallel assignments at none.
"""

import argparse
import ast
import json
import re
import statistics
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
BANNED = frozenset(
    re.findall(
        r"\w+",
        """found told one ones made said given asked what who whom whole wholes seen meant kept
        wanted held whence anew whoever door doors gate gates room rooms shelf shelves cupboard""",
    )
)
"""Parts of identifiers that docs/glossary.md bans: participles, pronouns, metaphors."""
TERMS = frozenset({"NotFound", "ONE"})
"""Names that stay: HTTP's own word for an error, and the digit."""
LINE_LENGTH = 100
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_FOLDERS = ("src", "tests", "benchmarks", "recipes", "deploy", ".ci")
_TEXT = {".py", ".js", ".css", ".html"}


@dataclass
class Shape:
    """What one Python file has: each list holds `(line, name)` or `(lines, name)`."""

    path: Path
    lines: int = 0
    statements: int = 0
    banned: list[tuple[int, str]] = field(default_factory=list)
    parallel: list[int] = field(default_factory=list)
    functions: list[tuple[int, str]] = field(default_factory=list)

    @property
    def package(self) -> str:
        """The folder as a name: `src/legibly/web/api`, `tests/web`."""
        return self.path.parent.as_posix()


def files() -> list[Path]:
    """The tracked source files, relative to the root; vendored and minified ones left out."""
    listing = subprocess.run(
        ["git", "ls-files", *_FOLDERS], cwd=ROOT, check=True, capture_output=True, text=True
    )
    paths = [Path(line) for line in listing.stdout.splitlines()]
    return [
        path
        for path in paths
        if path.suffix in _TEXT and ".min." not in path.name and (ROOT / path).is_file()
    ]


def shape_of(path: Path) -> Shape:
    """Measure one Python file, given relative to the root."""
    text = (ROOT / path).read_text(encoding="utf-8")
    shape = Shape(path, lines=text.count("\n"))
    if is_banned(path.stem):
        shape.banned.append((1, path.stem))
    for node in ast.walk(ast.parse(text)):
        shape.statements += isinstance(node, ast.stmt)
        shape.banned += [(line, name) for line, name in _bound(node) if is_banned(name)]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # Decorators are no part of it: a command's options are a table, not code to follow.
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            shape.functions.append((lines, node.name))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            shape.parallel += [
                node.lineno for target in node.targets if isinstance(target, ast.Tuple)
            ]
    return shape


def is_banned(name: str) -> bool:
    """Whether a part of an identifier is on the ban list."""
    return name not in TERMS and any(part.lower() in BANNED for part in _PARTS.findall(name))


def _bound(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The identifiers that a node binds, with their lines."""
    match node:
        case ast.FunctionDef(name=str(name)) if name.startswith("test_"):
            pass  # the name of a test is a sentence
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.lineno, node.name
        case ast.arg():
            yield node.lineno, node.arg
        case ast.Name(ctx=ast.Store()):
            yield node.lineno, node.id
        case ast.Attribute(ctx=ast.Store()):
            yield node.lineno, node.attr
        case ast.alias(asname=str(name)):
            yield node.lineno, name
        case ast.ExceptHandler(name=str(name)):
            yield node.lineno, name


def import_circles(shapes: list[Shape]) -> list[list[str]]:
    """Groups of modules under src that import each other, imports for type checking counted."""
    modules = {
        ".".join(shape.path.with_suffix("").parts[1:]).removesuffix(".__init__"): shape.path
        for shape in shapes
        if shape.path.parts[0] == "src"
    }
    imports = {name: set(_imported(path, modules)) - {name} for name, path in modules.items()}
    reach = {name: _reachable(name, imports) for name in imports}
    groups = {
        tuple(sorted(other for other in reach[name] if name in reach[other])) for name in reach
    }
    return [list(group) for group in sorted(groups) if len(group) > 1]


def _imported(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                names.append(submodule if submodule in modules else node.module)
        yield from (name for name in names if name in modules)


def _reachable(start: str, imports: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for name in imports[waiting.pop()] - reached:
            reached.add(name)
            waiting.append(name)
    return reached


def by_package(shapes: list[Shape]) -> dict[str, dict[str, int]]:
    """Banned names and parallel assignments of each folder, folders without any left out."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"banned": 0, "parallel": 0})
    for shape in shapes:
        counts[shape.package]["banned"] += len(shape.banned)
        counts[shape.package]["parallel"] += len(shape.parallel)
    return {name: row for name, row in sorted(counts.items()) if any(row.values())}


def long_lines(paths: list[Path]) -> tuple[int, int]:
    """Lines beyond the length, and all lines."""
    lengths = [
        len(line)
        for path in paths
        for line in (ROOT / path).read_text(encoding="utf-8").splitlines()
    ]
    return sum(length > LINE_LENGTH for length in lengths), len(lengths)


def figures(paths: list[Path], shapes: list[Shape]) -> dict[str, object]:
    """The figures of the issue by name; sizes are those of src."""
    source = [shape for shape in shapes if shape.path.parts[0] == "src"]
    functions = sorted(
        (lines, f"{shape.path}:{name}") for shape in source for lines, name in shape.functions
    )
    modules = Counter(shape.package for shape in source if shape.path.name != "__init__.py")
    folder, largest = modules.most_common(1)[0]
    longest = max(source, key=lambda shape: shape.lines)
    statements = sum(shape.statements for shape in shapes)
    parallel = sum(len(shape.parallel) for shape in shapes)
    beyond, lines = long_lines(paths)
    return {
        "banned names": sum(len(shape.banned) for shape in shapes),
        "banned names under src": sum(len(shape.banned) for shape in source),
        "parallel assignments": parallel,
        "parallel assignments per 1,000 statements": round(1000 * parallel / statements, 2),
        "lines beyond 100 characters": beyond,
        "share of lines beyond 100 characters, %": round(100 * beyond / lines, 2),
        "largest folder": f"{largest} modules in {folder}",
        "import circles": len(import_circles(shapes)),
        "function median, lines": statistics.median(lines for lines, _ in functions),
        "longest function": "{} lines, {}".format(*functions[-1]),
        "functions beyond 40 lines": sum(lines > 40 for lines, _ in functions),
        "functions beyond 50 lines": sum(lines > 50 for lines, _ in functions),
        "longest module": f"{longest.lines} lines, {longest.path}",
        "modules beyond 350 lines": sum(shape.lines > 350 for shape in source),
        "Python lines under src": sum(shape.lines for shape in source),
    }


def _print_worst(paths: list[Path], shapes: list[Shape]) -> None:
    print("\nBanned names and parallel assignments a folder")
    for package, row in by_package(shapes).items():
        print(f"  {package:<36} {row['banned']:>5} {row['parallel']:>5}")
    print("\nBanned names")
    for shape in shapes:
        for line, name in shape.banned:
            print(f"  {shape.path}:{line}: {name}")
        for line in shape.parallel:
            print(f"  {shape.path}:{line}: parallel assignment")
    print("\nFunctions beyond 40 lines")
    for shape in shapes:
        for lines, name in shape.functions:
            if lines > 40 and shape.path.parts[0] == "src":
                print(f"  {shape.path}: {name}: {lines}")
    print("\nLines beyond 100 characters a file")
    for path in paths:
        beyond, _ = long_lines([path])
        if beyond:
            print(f"  {path}: {beyond}")
    for circle in import_circles(shapes):
        print(f"\nImport circle: {' '.join(circle)}")


def measure() -> tuple[list[Path], list[Shape]]:
    """The source files, and the shapes of those in Python."""
    paths = files()
    return paths, [shape_of(path) for path in paths if path.suffix == ".py"]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Print the shape of the code.")
    parser.add_argument("--worst", action="store_true", help="name the places too")
    parser.add_argument("--json", action="store_true", help="print counts a folder as JSON")
    arguments = parser.parse_args()
    paths, shapes = measure()
    if arguments.json:
        rows = [
            f" {json.dumps(name)}: {json.dumps(row)}" for name, row in by_package(shapes).items()
        ]
        print("{", ",\n".join(rows), "}", sep="\n")
        return
    for name, value in figures(paths, shapes).items():
        print(f"{name:<44} {value}")
    if arguments.worst:
        _print_worst(paths, shapes)


if __name__ == "__main__":
    main()
