"""Pages of the site that are not in docs/: the public names of the package, and linked files.

mkdocs calls it (`hooks` in mkdocs.yml). A link from docs/ to a file of the repository is written
as in the repository, such as ``../CONTRIBUTING.md``. The site gets a copy of each file so linked,
below ``repository/``, and README.md as its first page. A link to a file that is not there stops
the build.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.structure.files import File, Files

import pellucid

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?!\w+:|/|#)([^)#\s]+)")  # of Markdown, not to other sites
AS_THEY_ARE = (".md", ".ipynb")
PACKAGES = {
    "pellucid": "Restore pictures",
    "pellucid.networks": "Networks",
    "pellucid.diffusion": "The mean-reverting SDE",
    "pellucid.vision_language": "Vision-language models",
    "pellucid.degradations": "Degradations",
    "pellucid.losses": "Losses",
    "pellucid.evaluation": "Evaluation",
}


def on_files(files: Files, config) -> Files:
    """Add the pages."""
    for package, title in PACKAGES.items():
        content = names(package, title)
        files.append(File.generated(config, f"api/{package}.md", content=content))
    waiting = ["README.md", *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not (ROOT / path).is_file():
            continue  # of the site alone, or missing: mkdocs says so
        if not path.startswith("docs/"):
            files.append(_copy(path, config))
        found = targets(path) if path.endswith(".md") else set()
        waiting += [target for target in found - seen if not target.startswith("docs/")]
        seen |= found
    return files


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    source = page.file.src_uri
    if source.startswith("api/"):
        return markdown
    origin = _origin(source)
    return LINK.sub(lambda hit: _from(source, _place(_resolve(origin, hit[1]))), markdown)


def names(package: str, title: str) -> str:
    """The page of a package: its modules with public names, each with its docstring."""
    module = importlib.import_module(package)
    homes = {name: getattr(module, "_HOMES", {}).get(name, package) for name in module.__all__}
    lines = [f"# {title}: {package}", ""]
    for home in sorted(set(homes.values())):
        about = inspect.getdoc(importlib.import_module(home))
        lines += [*([f"## {home}", ""] if home != package else []), about or "", ""]
        for name in sorted((n for n, h in homes.items() if h == home), key=str.lower):
            if package != "pellucid" and name in pellucid.__all__:
                lines += [f"`{package}.{name}` is [`pellucid.{name}`](pellucid.md).", ""]
            elif name != "__version__":
                lines += [f"::: {home}.{name}", ""]
    return "\n".join(lines)


def targets(path: str) -> set[str]:
    """The files of the repository that a Markdown file links to."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return {_resolve(path, link) for link in LINK.findall(text)}


def _copy(path: str, config) -> File:
    """A file as a page: Markdown as it is, source as a block of code; notebooks to download."""
    place, text = _place(path), (ROOT / path).read_text(encoding="utf-8")
    if not path.endswith(AS_THEY_ARE):
        text = f"# {path}\n\n```{Path(path).suffix[1:]}\n{text}```\n"
    return File.generated(config, place, content=text)


def _place(path: str) -> str:
    """Where a file of the repository is in the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path == "README.md":
        return "index.md"
    return f"repository/{path}" + ("" if path.endswith(AS_THEY_ARE) else ".md")


def _origin(place: str) -> str:
    """The file of the repository that a page of the site is made of."""
    if place == "index.md":
        return "README.md"
    if place.startswith("repository/"):
        return place.removeprefix("repository/")
    return f"docs/{place}"


def _resolve(path: str, link: str) -> str:
    return os.path.normpath(PurePosixPath(path).parent / link)


def _from(page: str, place: str) -> str:
    return os.path.relpath(place, PurePosixPath(page).parent)
