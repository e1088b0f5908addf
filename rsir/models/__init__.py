"""The four systems and their baselines: one paper, one file.

What decides a run is a `Config`; `config` finds one, `build` makes its model.
A method declares in its own file, `rsir/models/NAME.py`:

    Config      a dataclass; its field `method` is the method's name
    PRESETS     what "toy", "cpu" and "paper" change
    VARIANTS    the rows that a chapter shows, name -> changes; the first
                is the headline

A file is found by its `Config`, so a new method needs no other edit. The
declarations are read without importing PyTorch.
"""

import ast
import dataclasses
import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from rsir.utils.errors import RsirError

#: re-rankings of a finished run, named after its variant ("midf+mr"); with a
#: bank, training queries take the place of the other test queries
RERANKS: dict[str, dict] = {
    "mr": {"style": "released", "bank": False},
    "mr-figure": {"style": "figure", "bank": False},
    "mr-bank": {"style": "released", "bank": True},
}

#: two transformers that learn from end to end, where no paper names sizes
END_TO_END = {
    "image_encoder": "vit_base",
    "image_trained": "all",
    "text_encoder": "google-bert/bert-base-uncased",
    "text_layers": None,
    "epochs": 30,
    "batch": 128,
    "lr": 1e-4,
    "image_lr": 2e-5,
    "text_lr": 2e-5,
}


@dataclass(frozen=True)
class Config:
    """What all methods share: encoders, optimiser, selection."""

    method: str = ""
    image_encoder: str = "efficientnet_lite0"
    image_size: int = 224  #: side of the input in pixels
    #: symmetries of the square over which pooled vectors are averaged, see
    #: `ImageEncoder`
    tta_views: tuple[int, ...] = (0,)
    #: what of the image encoder learns, see `ImageEncoder.learn`: "none" (features
    #: are computed once), "all", or "f1" to "f3", what stands above a map
    image_trained: str = "none"
    batch_norm: str = "fixed"  #: statistics while it learns, or "learnt"
    #: what training pictures go through, see `rsir.training.augment`
    augment: str = "none"
    #: "gru", "uniskip", "skip_thoughts", "minilm" or a hub id
    text_encoder: str = "minilm"
    #: last blocks of a sentence transformer that learn (None for all)
    text_layers: int | None = 3
    vocabulary_threshold: int = 5  #: a word must occur as often in train
    word_dropout: float = 0.0  #: on word vectors of the GRU
    epochs: int = 12  #: passes over the images, each with a caption drawn anew
    batch: int = 256  #: images in a batch, over all processes
    lr: float = 1e-3  #: peak rate of new layers
    text_lr: float = 1e-4  #: of a pretrained text encoder
    image_lr: float = 1e-4  #: of pretrained image stages or encoder
    weight_decay: float = 0.01  #: of AdamW
    #: "cosine" or "linear" after a warm-up, or "step" (x0.7 every 20 epochs)
    schedule: str = "cosine"
    warmup: float = 0.1  #: share of all steps
    clip: float = 5.0  #: largest gradient norm (0 for any)
    accumulate: int = 1  #: micro-batches in a step
    eval_every: int = 1  #: epochs between validations
    patience: int = 6  #: validations without a gain before stopping
    precision: str = "auto"  #: "no", "bf16" or "auto" (where it is faster)
    #: M, how many candidates of each list a cross-encoder orders anew when the
    #: model is measured (0 for none)
    rerank_top: int = 0
    seed: int = 0  #: of weights, order, captions and dropout

    # not fields: how pages call the method, and where they list it
    TITLE = ""
    YEAR = 0
    #: fields that change how a trained model is measured, not the model
    MEASURED = ("rerank_top",)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, list):  # JSON has lists for tuples
                object.__setattr__(self, name, tuple(value))
        self.check("schedule", ("cosine", "linear", "step"))
        self.check("image_trained", ("none", "all", "f1", "f2", "f3"))
        self.check("batch_norm", ("fixed", "learnt"))
        self.check("augment", ("none", "crop", "crop-rotate", "randaugment"))
        if self.image_trained == "none" and self.augment != "none":
            raise RsirError(
                f"augment is {self.augment!r}, but image_trained is 'none': features "
                "of a frozen encoder are computed once; set image_trained='all'"
            )

    def to_dict(self) -> dict:
        """Every option, as JSON has it."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

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
        module = scope["__name__"]
        for value in scope.values():
            name = getattr(value, "method", "") if isinstance(value, type) else ""
            if not name or value.__module__ != module:
                continue
            # a second method in a file has tables of its own: MLP_VARIANTS
            tables = (
                scope.get(f"{name.upper()}_{t}", scope.get(t, {})) for t in TABLES
            )
            found[name] = Method(value, *tables, module)
    return dict(sorted(found.items(), key=lambda x: (x[1].config.YEAR, x[0])))


TABLES = ("PRESETS", "VARIANTS")


def _files() -> dict[str, Path]:
    return {p.stem: p for f in __path__ for p in sorted(Path(f).glob("[!_]*.py"))}


@cache
def _declarations(path: Path) -> dict:
    """The configs and tables that a file declares; its models do not run."""
    scope = {"__name__": f"{__name__}.{path.stem}"}
    for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        if isinstance(node, ast.ImportFrom):
            known = _light(node.module or "")
            names = {a.asname or a.name: a.name for a in node.names}
            scope |= {k: known[name] for k, name in names.items() if name in known}
            continue
        config = isinstance(node, ast.ClassDef) and node.name.endswith("Config")
        if not (config or isinstance(node, ast.Assign | ast.AnnAssign)):
            continue
        try:
            exec(compile(ast.Module([node], []), str(path), "exec"), scope)
        except NameError as error:
            if config or ast.unparse(node).split(" ")[0].endswith(TABLES):
                raise RsirError(
                    f"{path}, line {node.lineno}: {error}; a Config, PRESETS or "
                    "VARIANTS is read without PyTorch: use what stands above it, or "
                    "dataclasses, rsir.utils.errors, rsir.models, another method"
                ) from error
    return scope


def _light(module: str) -> dict:
    """The names that declarations may import from a module, none of PyTorch."""
    head, _, name = module.rpartition(".")
    if head == __name__ and name in _files():
        return _declarations(_files()[name])
    errors = {"RsirError": RsirError}
    light = {"dataclasses": vars(dataclasses), "rsir.utils.errors": errors}
    return (light | {__name__: globals()}).get(module, {})


def config(method: str, preset: str = "cpu", variant: str | None = None, **changes):
    """The config of a method, a preset and a variant, with changes.

    Args:
        method: "linear", "amfmn", ...
        preset: "toy", "cpu" or "paper".
        variant: a name in `variants(method)`, perhaps with a re-ranking
            that trains nothing ("midf+mr"); None: the preset as it is.
        changes: fields to replace, such as `seed=1`.
    """
    declared = _one("method", method, methods())
    options = dict(_one("preset", preset, declared.presets))
    if variant is not None:
        variant, plus, rerank = variant.partition("+")
        options |= _one(f"variant of {method}", variant, declared.variants)
        if plus:
            _one("re-ranking", rerank, RERANKS)
    options |= changes
    for name in options:
        _one(f"option of {method}", name, declared.config.__dataclass_fields__)
    return declared.config(**options)


def variants(method: str) -> dict[str, dict]:
    """The variants of a method: name -> changes; the first is the headline."""
    return _one("method", method, methods()).variants


def model_class(method: str) -> type:
    """The class whose `Config` is that of the method; imports its file."""
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

    A GRU has the words of the split `train`, if no `vocabulary` is given.
    """
    from rsir.data.text import Vocabulary
    from rsir.encoders import image_encoder, text_encoder

    name, options = config.text_encoder, {"layers_trained": config.text_layers}
    if name in ("gru", "uniskip", "skip_thoughts"):
        options = {"dropout": config.word_dropout} if name == "gru" else {}
        if vocabulary is None and train is not None:
            vocabulary = Vocabulary.build(train.captions, config.vocabulary_threshold)
    images = image_encoder(
        config.image_encoder,
        trained=config.image_trained,
        batch_norm=config.batch_norm,
        size=config.image_size,
        tta_views=config.tta_views,
    )
    texts = text_encoder(name, vocabulary, **options)
    return model_class(config.method)(images, texts, config)


def _one(what: str, name: str, table: dict):
    if name not in table:
        raise RsirError(f"{what} {name!r}: unknown; choose one of {', '.join(table)}")
    return table[name]
