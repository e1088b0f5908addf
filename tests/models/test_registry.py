"""The registry reads what files declare, and needs no PyTorch for it."""

import subprocess
import sys
import types

import pytest

from rsir import models
from rsir.models import config, methods, model_class, variants
from rsir.utils.errors import RsirError

METHODS = list(methods())
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from rsir.models import config, methods, variants
print(*methods())
for name in methods():
    config(name, "paper", list(variants(name))[-1])
import rsir.models.ridge
"""


def test_methods_are_listed_without_torch():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == METHODS


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_presets_variants_and_a_class(name):
    own = methods()[name]
    assert {*own.presets} - {"world"} == {"toy", "cpu", "paper"}
    assert model_class(name).Config.method == name
    assert model_class(name).__module__ == own.module
    for preset in own.presets:
        made = [config(name, preset, variant) for variant in variants(name)]
        assert made[0] == config(name, preset)  # the headline
        assert preset != "cpu" or len(set(made)) == len(made)


@pytest.mark.parametrize(
    "asked, says",
    [
        (("resnet",), "method 'resnet': unknown; choose one of .*linear, mlp"),
        (("amfmn", "big"), "preset 'big': unknown; choose one of toy, cpu, paper"),
        (("amfmn", "cpu", "hard"), "variant of amfmn 'hard': .* soft-minilm"),
        (("galr", "cpu", "midf+x"), "re-ranking 'x': unknown; choose one of mr"),
        (("galr", "cpu", "+mr"), "variant of galr ''"),
    ],
)
def test_unknown_names_are_told_with_those_that_exist(asked, says):
    with pytest.raises(RsirError, match=says):
        config(*asked)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write NAME.py into a registry of its own."""
    monkeypatch.setattr(models, "__path__", [str(tmp_path)])

    def forget():
        models.methods.cache_clear()
        models._declarations.cache_clear()

    forget()
    yield lambda name, text: (tmp_path / name).write_text(text)
    forget()


HEAD = (
    "from dataclasses import dataclass\nimport torch\nfrom rsir.models import Config\n"
)
OWN = '@dataclass(frozen=True)\nclass {}Config(Config):\n    method: str = "{}"\n'


def test_declarations_may_come_from_another_method(file):
    file("one.py", HEAD + OWN.format("", "one") + 'A = {"toy": {"lr": 0.5}}\n')
    other = "from rsir.models.one import A as TABLE, Config as OneConfig\n"
    own = '@dataclass(frozen=True)\nclass Config(OneConfig):\n    method: str = "two"\n'
    file("two.py", HEAD + other + own + "PRESETS = TABLE\nX = torch.nn.Linear(2, 2)\n")
    assert list(methods()) == ["one", "two"]  # each once
    assert config("two", "toy").lr == 0.5
    assert methods()["one"].presets == {}
    file("_private.py", HEAD + OWN.format("", "three"))
    assert "three" not in methods()


@pytest.mark.parametrize(
    "text, says",
    [
        ("    width: int = HIDDEN\n", "one.py, line 5: name 'HIDDEN'"),
        ("ONE_PRESETS = {'toy': torch.ones(1)}\n", "one.py, line 7: name 'torch'"),
    ],
)
def test_what_cannot_be_read_without_torch_is_told(file, text, says):
    file("one.py", HEAD + OWN.format("", "one") + text)
    with pytest.raises(RsirError, match=f"{says}.*read without PyTorch"):
        methods()


def test_a_config_without_a_model_is_told(file, monkeypatch):
    file("one.py", HEAD + OWN.format("", "one"))
    empty = types.ModuleType("rsir.models.one")
    empty.__file__ = "one.py"
    monkeypatch.setitem(sys.modules, "rsir.models.one", empty)
    with pytest.raises(RsirError, match="one.py: no model has the Config of 'one'"):
        model_class("one")
