"""Every flag of every command has a sentence in `--help`."""

import dataclasses
import importlib
import inspect
import re

from tyro._docstrings import get_field_docstring

from pellucid.cli import COMMANDS, data
from pellucid.recipes import RECIPES, recipe


def silent(kind, names):
    return [name for name in names if not get_field_docstring(kind, name, ())]


def settings(config):
    """Names of values by dataclass, for a config and the configs in it."""
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    inner = [value for value in values.values() if dataclasses.is_dataclass(value)]
    yield type(config), tuple(n for n, v in values.items() if not dataclasses.is_dataclass(v))
    for value in inner:
        yield from settings(value)


def test_every_setting_of_every_recipe_is_explained():
    kinds = {pair for name in RECIPES for pair in settings(recipe(name))}
    assert len(kinds) > 20
    missing = {kind.__name__: silent(kind, names) for kind, names in kinds}
    assert not {kind: names for kind, names in missing.items() if names}


def test_every_flag_of_the_other_commands_is_explained():
    seen, missing = 0, {}
    for command in COMMANDS.values():
        module = importlib.import_module(command.home.partition(":")[0])
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if own and dataclasses.is_dataclass(kind) and kind.__name__ != "Arguments":
                names = [field.name for field in dataclasses.fields(kind)]
                seen, missing[kind.__name__] = seen + len(names), silent(kind, names)
    assert seen > 60 and not {kind: names for kind, names in missing.items() if names}


def test_every_flag_of_data_is_explained():
    for function in (data.check, data.captions, data.generate, data.windows, data.triplets):
        text = inspect.getdoc(function).partition("Args:")[2]
        for name in inspect.signature(function).parameters:
            assert re.search(rf"^ +{name}: [A-Z]", text, re.M), (function.__name__, name)
