"""Mutations of whole files: of their values, of their keys, and of the text that holds them."""

import copy
from collections.abc import Iterator
from typing import Any, TypeAlias

from hypothesis import strategies as st

Tree: TypeAlias = Any  # what YAML and JSON hold
Path: TypeAlias = tuple[Any, ...]  # keys, and numbers of items

NUMBERS = (0, -1, 1, 2, 3, 10**9, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e308, 5e-324,
           1e-9, float("inf"), float("-inf"), float("nan"))  # fmt: skip
TEXTS = ("", " ", "²", "٣", "1e5", "0x10", "1_000", "12:30", "null", "~", "yes", "=", "<<", "a.b",
         "../..", "/", "/dev/null", "/etc/passwd", "organism:²", "organism:99", "organism:0",
         "{{ x }}", "{% for i in range(10**9) %}", "%s", "\x1b[31m", "a\x00b", "\u202e", "\ud800",
         "é" * 200, "a" * 300, "a/" * 1500, "a" * 70_000, "[/bold]", "9" * 5000, "quickstart",
         "2020-02-30", "http://127.0.0.1:1/v1", "C:\\x", "\n\n", "it's", "None")  # fmt: skip
KINDS = ("loop", "finetune", "probe", "world", "file", "lora", "steering", "sft", "kto", "dpo",
         "none", "best_of_k", "best_worst", "top_bottom", "llm", "composite", "transformers",
         "openai", "honesty", "judged", "x")  # fmt: skip
KEYS = ("kind", "x", "extends", "rounds", "name", "seed", "model", "data", "rows", "samples",
        "set", "over", "arms", "quick", "facts", "situations", "0", "", "a" * 300)  # fmt: skip

numbers = st.sampled_from(NUMBERS) | st.integers() | st.floats()
texts = st.sampled_from(TEXTS) | st.text(max_size=20)
scalars = st.none() | st.booleans() | numbers | texts


def _nested(depth: int) -> Tree:
    tree: Tree = 1
    for n in range(depth):
        tree = [tree] if n % 2 else {"kind": tree}
    return tree


values = (
    scalars
    | st.lists(scalars, max_size=3)
    | st.dictionaries(st.sampled_from(KEYS), scalars, max_size=3)
    | st.builds(lambda kind: {"kind": kind}, st.sampled_from(KINDS))
    | st.sampled_from((5, 31, 40, 90)).map(_nested)
    | st.just(1_001).map(lambda n: [0] * n)
    | st.just(2_000).map(lambda n: {f"k{i}": i for i in range(n)})
)


def places(tree: Tree, path: Path = ()) -> Iterator[Path]:
    """Every place within a tree, its root first."""
    yield path
    items = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree if isinstance(tree, list) else ())
    )
    for key, value in items:
        yield from places(value, (*path, key))


def at(tree: Tree, path: Path) -> Tree:
    for key in path:
        tree = tree[key]
    return tree


@st.composite
def mutated(draw: st.DrawFn, tree: Tree) -> Tree:
    """A tree with one to three changes."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        tree = draw(_changed(tree))
    return tree


@st.composite
def _changed(draw: st.DrawFn, tree: Tree) -> Tree:
    found = list(places(tree))
    path = draw(st.sampled_from(found))
    if not path:
        path = draw(st.sampled_from(found))  # the root is changed seldom
    if not path:
        return draw(values)
    *above, key = path
    parent = at(tree, tuple(above))
    how = draw(
        st.sampled_from(
            ("value", "value", "number", "delete", "double", "nest", "move", "key", "add")
        )
    )
    if how == "number":
        parent[key] = draw(numbers)
    elif how == "value":
        parent[key] = draw(values)
    elif how == "delete":
        del parent[key]
    elif how == "nest":
        parent[key] = draw(
            st.sampled_from(([parent[key]], {"kind": parent[key]}, {"x": parent[key]}))
        )
    elif how == "move":
        parent[key] = copy.deepcopy(at(tree, draw(st.sampled_from(found))))
    elif isinstance(parent, list):
        parent.extend(copy.deepcopy([parent[key]]) * draw(st.sampled_from((1, 2, 1_000))))
    elif how == "key":
        parent[draw(st.sampled_from(KEYS) | texts)] = parent.pop(key)
    else:
        parent[draw(st.sampled_from(KEYS))] = draw(values)
    return tree


PIECES = ("&a [*a]", "*a", "<<: *a", "!!python/object/apply:os.getcwd []", "!!binary aGk=",
          "!!int x", "!!set {a}", "\t", "\x00", "\x85", "\u2028", "\ufeff", "%YAML 9.9\n---\n",
          "---\n", "...\n", "? ", "- ", ": ", "#", "|", ">", "'", '"', "[" * 3000, "{" * 3000,
          "- " * 3000, "? " * 3000, "a: " * 50, "]", "}", "\\ud800", '"\\ud800"', "\r", "é",
          "\x1b[2J", "@", "`", "NaN", "a" * 70_000, "[" + "1," * 60_000 + "1]",
          "9" * 5000)  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn, text: str) -> bytes:
    """The bytes of a text, of one in four with a change that its structure doesn't know."""
    content = text.encode(errors="surrogatepass")
    if draw(st.integers(0, 3)):
        return content
    how = draw(st.sampled_from(("insert", "insert", "cut", "bytes", "utf-16", "replace")))
    place = draw(st.integers(0, len(content)))
    if how == "insert":
        piece = draw(st.sampled_from(PIECES)).encode(errors="surrogatepass")
        return content[:place] + piece + content[place:]
    if how == "cut":
        return content[:place]
    if how == "bytes":
        return content[:place] + draw(st.binary(min_size=1, max_size=4)) + content[place + 1 :]
    if how == "utf-16":
        return text.encode("utf-16", errors="surrogatepass")
    return content.replace(b": ", draw(st.sampled_from((b":", b": - ", b": &a ", b"= "))), 1)
