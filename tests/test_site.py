"""Docstrings as the site and `--help` show them."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")

from scripts.site_pages import PACKAGES, names

SOURCE = Path(__file__).parents[1] / "src" / "pellucid"
SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:")
ITEM = re.compile(r"[*\w]+(, [*\w]+)*: ")


def docstrings():
    """Place and text of every docstring of modules, classes and functions."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield (
                    f"{path.relative_to(SOURCE)}, {getattr(node, 'name', '')}",
                    (ast.get_docstring(node) or ""),
                )


def sections(text):
    """Title and first-level lines of each section of a docstring."""
    title = ""
    for line in text.splitlines():
        if line in SECTIONS:
            title = line
        elif line and not line.startswith(" "):
            title = ""
        elif title and re.match(r" {4}\S", line):
            yield title, line.strip()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_page_has_every_public_name_below_what_its_module_says(package):
    module = importlib.import_module(package)
    homes = getattr(module, "_HOMES", {})
    page = names(package, "Title")
    for name in module.__all__:
        home = homes.get(name, package)
        if f"`{package}.{name}` is [" in page or name == "__version__":
            continue
        assert page.count(f"::: {home}.{name}\n") == 1
        about = inspect.getdoc(importlib.import_module(home))
        assert about
        assert page.index(about) < page.index(f"::: {home}.{name}\n")


def test_a_line_of_a_section_is_an_item_or_indented_below_one():
    for place, text in docstrings():
        for title, line in sections(text):
            if title != "Returns:":
                assert ITEM.match(line.replace("`", "").replace(".", "")), f"{place}: {line}"
            else:  # what stands before a colon would be shown as the type
                assert ": " not in line, f"{place}: {line}"


def test_every_size_of_a_public_config_is_explained():
    looked = 0
    for package in ("networks", "vision_language"):
        homes = importlib.import_module(f"pellucid.{package}")._HOMES
        for name in (name for name in homes if name.endswith("Config")):
            text = inspect.getsource(getattr(importlib.import_module(homes[name]), name))
            body = ast.parse(text).body[0].body
            for field, after in zip(body, [*body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    looked += 1
                    explained = isinstance(after, ast.Expr) and isinstance(
                        after.value, ast.Constant
                    )
                    assert explained, f"{name}.{field.target.id}"
    assert looked > 50
