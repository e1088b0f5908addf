"""The four systems and their baselines: one paper, one file.

What decides a run is a `Config`; `config` finds one, `build` makes its model.

A method declares them in its own file, `rsir/models/NAME.py`:

    Config      a dataclass; its field `method` is the method's name
    PRESETS     what "toy", "cpu" and "paper" change
    VARIANTS    the rows that a chapter shows, name -> changes; the first
                is the headline

A file is found by its `Config`, so a new method needs no other edit. The
declarations are read without importing PyTorch.
"""

import ast
import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from rsir.utils.errors import RsirError

PRESET_NAMES = ("toy", "cpu", "paper")

#: re-rankings of a finished run, named after its variant: "midf+mr".
#: bank: training queries take the place of the other test queries
RERANKS: dict[str, dict] = {
    "mr": {"style": "released", "bank": False},
    "mr-figure": {"style": "figure", "bank": False},
    "mr-bank": {"style": "released", "bank": True},
}


@dataclass(frozen=True)
class Config:
    """What all methods share: encoders, optimiser, selection.

    Attributes:
        image_encoder, image_size: backbone and input side in pixels.
        tta_views: symmetries of the square over which pooled vectors are
            averaged, see `ImageEncoder`.
        text_encoder: "gru", "uniskip", "minilm" or a hub id.
        text_layers: last blocks of a sentence transformer that learn; 0: none,
            it stays frozen; None: all.
        vocabulary_threshold: a word must occur as often in train.
        word_dropout: on word vectors of the GRU.
        epochs: passes over the images, each with one caption, drawn anew.
        batch: images in a batch, over all processes.
        lr, text_lr, image_lr: peak rates of new layers, of a pretrained text
            encoder and of pretrained image stages.
        weight_decay: of AdamW.
        schedule: "cosine" with warm-up, or "step": x0.7 every 20 epochs.
        warmup: share of all steps.
        clip: largest gradient norm; 0: none.
        accumulate: micro-batches in a step.
        eval_every: epochs between validations.
        patience: validations without a gain before stopping.
        precision: "auto" (bf16 where it is faster), "no" or "bf16".
        rerank_top: M, how many candidates of each list a cross-encoder orders
            anew when the model is measured; 0: the list stands.
        seed: of weights, order, captions and dropout.
    """

    method: str = ""
    image_encoder: str = "efficientnet_lite0"
    image_size: int = 224
    tta_views: tuple[int, ...] = (0,)
    text_encoder: str = "minilm"
    text_layers: int | None = 3
    vocabulary_threshold: int = 5
    word_dropout: float = 0.0
    epochs: int = 12
    batch: int = 256
    lr: float = 1e-3
    text_lr: float = 1e-4
    image_lr: float = 1e-4
    weight_decay: float = 0.01
    schedule: str = "cosine"
    warmup: float = 0.1
    clip: float = 5.0
    accumulate: int = 1
    eval_every: int = 1
    patience: int = 6
    precision: str = "auto"
    rerank_top: int = 0
    seed: int = 0

    # not fields: how pages call the method, and where they list it
    TITLE = ""
    YEAR = 0
    #: fields that change how a trained model is measured, not the model
    MEASURED = ("rerank_top",)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # JSON has lists for tuples
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))

    def to_dict(self) -> dict:
        """Every option, as JSON has it."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    def check(self, field: str, allowed: Collection[str]) -> None:
        """Raise RsirError if a field, or an item of it, is not an allowed name."""
        value, names = getattr(self, field), ", ".join(allowed)
        for item in value if isinstance(value, tuple) else (value,):
            if item not in allowed:
                raise RsirError(f"{field} is {item!r}; choose one of {names}")


@dataclass(frozen=True)
class Method:
    """What a file declares of one method."""

    config: type[Config]
    presets: dict[str, dict]
    variants: dict[str, dict]
    module: str


@cache
def methods() -> dict[str, Method]:
    """All methods by name, baselines first, then by year."""
    found = {}
    for path in _files().values():
        scope = _declarations(path)
        for value in list(scope.values()):
            own = isinstance(value, type) and value.__module__ == scope["__name__"]
            if not (own and issubclass(value, Config) and value.method):
                continue
            # a second method in a file has tables of its own: MLP_VARIANTS
            presets, variants = (
                scope.get(f"{value.method.upper()}_{table}", scope.get(table, {}))
                for table in ("PRESETS", "VARIANTS")
            )
            found[value.method] = Method(value, presets, variants, scope["__name__"])
    order = sorted(found, key=lambda n: (found[n].config.YEAR, n))
    return {name: found[name] for name in order}


def _files() -> dict[str, Path]:
    folders = [Path(folder) for folder in __path__]
    return {p.stem: p for f in folders for p in sorted(f.glob("[!_]*.py"))}


@cache
def _declarations(path: Path) -> dict:
    """The configs and tables that a file declares; its models do not run."""
    scope = {"__name__": f"{__name__}.{path.stem}"}
    for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        if isinstance(node, ast.ImportFrom):
            _take(node, scope)
            continue
        config = isinstance(node, ast.ClassDef) and node.name.endswith("Config")
        if not (config or isinstance(node, ast.Assign | ast.AnnAssign)):
            continue
        try:
            exec(compile(ast.Module([node], []), str(path), "exec"), scope)
        except NameError as error:
            if config or ast.unparse(node).split(" ")[0].endswith(_TABLES):
                raise RsirError(
                    f"{path}, line {node.lineno}: {error}; a Config, PRESETS or "
                    "VARIANTS is read without PyTorch, so it may use only what "
                    "stands above it or is imported from dataclasses, "
                    "rsir.utils.errors, rsir.models or the file of another method"
                ) from error
    return scope


_TABLES = ("PRESETS", "VARIANTS")


def _take(node: ast.ImportFrom, scope: dict) -> None:
    """Names that declarations use, from `dataclasses` or another method."""
    light = {
        "dataclasses": vars(dataclasses),
        "rsir.utils.errors": {"RsirError": RsirError},
        __name__: globals(),
    }
    source = light.get(node.module, {})
    if (node.module or "").startswith(f"{__name__}."):
        file = _files().get(node.module.split(".")[2])
        source = _declarations(file) if file else {}
    for alias in node.names:
        if alias.name in source:
            scope[alias.asname or alias.name] = source[alias.name]


def config(method: str, preset: str = "cpu", variant: str | None = None, **changes):
    """The config of a method, a preset and a variant, with changes.

    Args:
        method: "linear", "amfmn", ...
        preset: "toy", "cpu" or "paper".
        variant: a name in `variants(method)`, perhaps with a re-ranking
            that trains nothing ("midf+mr"); None: the preset as it is.
        changes: fields to replace, such as `seed=1`.

    Raises:
        RsirError: for a name that does not exist; it lists which do.
    """
    declared = _one("method", method, methods())
    options = dict(_one("preset", preset, declared.presets))
    if variant is not None:
        variant, plus, rerank = variant.partition("+")
        options |= _one(f"variant of {method}", variant, declared.variants)
        if plus:
            _one("re-ranking", rerank, RERANKS)
    options |= changes
    fields = {f.name: f for f in dataclasses.fields(declared.config)}
    for name in options:
        _one(f"option of {method}", name, fields)
    return declared.config(**options)


def variants(method: str) -> dict[str, dict]:
    """The variants of a method: name -> changes; the first is the headline."""
    return _one("method", method, methods()).variants


def model_class(method: str) -> type:
    """The class of a method's model; imports its file.

    It is the class whose attribute `Config` is that of the method.
    """
    module = import_module(_one("method", method, methods()).module)
    for value in vars(module).values():
        own = vars(value).get("Config") if isinstance(value, type) else None
        if own is not None and own.method == method:
            return value
    raise RsirError(
        f"{module.__file__}: no model has the Config of {method!r}; set "
        "`Config = ...` in the class of the model"
    )


def build(config: Config, train=None, vocabulary=None):
    """The model of a config, with its encoders.

    Args:
        config: says which method, encoders and options.
        train: a `Split`; its captions make the vocabulary of a GRU.
        vocabulary: used in place of a new one.
    """
    from rsir.data.text import Vocabulary
    from rsir.encoders import image_encoder, text_encoder

    options = {}
    if config.text_encoder in ("gru", "uniskip"):
        if vocabulary is None and train is not None:
            vocabulary = Vocabulary.build(train.captions, config.vocabulary_threshold)
        if config.text_encoder == "gru":
            options = {"dropout": config.word_dropout}
    else:
        options = {"layers_trained": config.text_layers}
    images = image_encoder(
        config.image_encoder, size=config.image_size, tta_views=config.tta_views
    )
    texts = text_encoder(config.text_encoder, vocabulary, **options)
    return model_class(config.method)(images, texts, config)


def _one(what: str, name: str, table: dict):
    if name not in table:
        raise RsirError(f"{what} {name!r}: unknown; choose one of {', '.join(table)}")
    return table[name]
