"""The source of a model without the package around it: its class, and all that the class uses of torchtty's own modules.

The text is cut out of the very files that train the model, so what it computes is what was trained. Nothing is imported.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from torchtty.engine.contract.errors import UserError


@dataclass
class _Module:
    """One file: what it defines at its top level, and where its other names come from."""

    source: str
    definitions: dict[str, ast.stmt] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(
        default_factory=dict
    )  # name -> (module, name in it, empty for the module)


@dataclass
class Standalone:
    """The text of a model: import lines, definitions in an order that runs, and the arguments that build it."""

    name: str  # of the class or function that builds the model
    arguments: tuple[str, ...]
    imports: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)  # classes of settings that stand in annotations only


def standalone(place: str) -> Standalone:
    """Cut a model out of its modules; `place` is that of its class, `package.module:name`. Raises `UserError`.

    Annotations are left as they are: with `from __future__ import annotations` they are never looked up.
    """
    module, _, name = place.partition(":")
    cutter = _Cutter(module.partition(".")[0])
    cutter.take(module, name)
    return cutter.result(module, name)


class _Cutter:
    def __init__(self, package: str) -> None:
        self._ours = {"torchtty", package}
        self._modules: dict[str, _Module] = {}
        self._taken: dict[
            str, dict[str, None]
        ] = {}  # module -> names, the modules in the order in which they must stand
        self._foreign: set[tuple[str, str, str]] = set()
        self._sections: set[str] = set()

    def take(self, module: str, name: str) -> None:
        """Take a definition, and first what it uses."""
        found = self._module(module)
        if name in found.imports and name not in found.definitions:
            self.take(*found.imports[name])
            return
        if name not in found.definitions or name in self._taken.get(module, {}):
            return
        node = found.definitions[name]
        names = self._taken.setdefault(module, {})
        names[name] = None
        for used in sorted(_names(node)):
            self._use(module, found, used, only_named=False)
        for used in sorted(_names(node, annotations=True)):
            self._use(module, found, used, only_named=True)
        self._taken[module] = self._taken.pop(module)  # behind the modules it uses

    def _use(self, module: str, found: _Module, name: str, *, only_named: bool) -> None:
        if name in found.definitions:
            if not only_named or isinstance(found.definitions[name], ast.Assign | ast.AnnAssign):
                self.take(module, name)
        elif name in found.imports:
            origin, original = found.imports[name]
            if origin.partition(".")[0] not in self._ours:
                self._foreign.add((origin, original, name))
            elif not only_named:
                self.take(origin, original)
            elif name not in self._taken.get(origin, {}):
                self._sections.add(name)

    def _module(self, name: str) -> _Module:
        if name not in self._modules:
            self._modules[name] = _read(name)
        return self._modules[name]

    def result(self, module: str, name: str) -> Standalone:
        node = self._module(module).definitions.get(name)
        if node is None:
            raise UserError(f"{module} defines no {name}.")
        found = Standalone(name, _arguments(node), _imports(self._foreign))
        for taken, names in self._taken.items():
            source = self._module(taken)
            nodes = {id(source.definitions[name]): source.definitions[name] for name in names}
            for node in sorted(nodes.values(), key=lambda node: node.lineno):
                found.definitions.append(_text(source.source, node))
        taken_names = [name for names in self._taken.values() for name in names]
        assert len(taken_names) == len(set(taken_names)), "two modules of a model define the same name"
        found.sections = sorted(self._sections - set(taken_names))
        return found


def _imports(foreign: set[tuple[str, str, str]]) -> list[str]:
    """Write import lines as isort orders them: what comes with Python first, `import` before `from`."""
    lines, grouped = [], dict[str, list[str]]()
    for origin, original, alias in sorted(foreign):
        if original:
            grouped.setdefault(origin, []).append(alias if alias == original else f"{original} as {alias}")
        else:
            lines.append(
                (origin, f"import {origin}" if alias == origin.partition(".")[0] else f"import {origin} as {alias}")
            )
    lines += [(origin, f"from {origin} import {', '.join(names)}") for origin, names in sorted(grouped.items())]
    standard = [line for origin, line in lines if origin.partition(".")[0] in sys.stdlib_module_names]
    return [*standard, *(line for _, line in lines if line not in standard)]


def _read(name: str) -> _Module:
    spec = find_spec(name)
    if spec is None or not spec.origin:
        raise UserError(f"The source of {name} is not there to be copied.")
    source = Path(spec.origin).read_text(encoding="utf-8")
    module = _Module(source)
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            module.imports |= {item.asname or item.name: (node.module or "", item.name) for item in node.names}
        elif isinstance(node, ast.Import):
            module.imports |= {item.asname or item.name.partition(".")[0]: (item.name, "") for item in node.names}
        else:
            module.definitions |= dict.fromkeys(_defined(node), node)
    return module


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def _names(node: ast.AST, *, annotations: bool = False) -> set[str]:
    """Return the names that a piece of code looks up: outside of its annotations, or only in them."""
    found: set[str] = set()
    stack: list[tuple[ast.AST, bool]] = [(node, False)]
    while stack:
        part, annotated = stack.pop()
        if isinstance(part, ast.Name) and annotated == annotations:
            found.add(part.id)
        for place, value in ast.iter_fields(part):
            below = annotated or place in ("annotation", "returns")
            stack += [
                (child, below)
                for child in (value if isinstance(value, list) else [value])
                if isinstance(child, ast.AST)
            ]
    return found


def _arguments(node: ast.stmt) -> tuple[str, ...]:
    """Return the names of what a class or a function is called with."""
    if isinstance(node, ast.ClassDef):
        inits = (part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__")
        if (init := next(inits, None)) is None:
            return ()
        return tuple(argument.arg for argument in init.args.args[1:])
    assert isinstance(node, ast.FunctionDef)
    return tuple(argument.arg for argument in node.args.args)


def _text(source: str, node: ast.stmt) -> str:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])
