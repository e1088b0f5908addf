"""Models that others have trained, as they are: two towers, one cosine.

`load` knows three libraries; the second and the third are optional:

* `hf:NAME`, `hf:NAME@REVISION`, `hf:FOLDER`: transformers, whatever has
  `get_image_features` and `get_text_features` (CLIP, SigLIP and their kin);
* `open_clip:ARCHITECTURE/TAG`, `open_clip:ARCHITECTURE/FILE.pt`;
* `st:NAME`, `st:NAME@REVISION`, `st:FOLDER`: sentence-transformers.

Nothing is trained here. Vectors are float32, whatever the files hold. Page:
book/bench.md.
"""

import hashlib
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import numpy as np
import torch

from rsir.data import Split, image_hashes
from rsir.data.images import in_threads
from rsir.encoders.base import weights_hash
from rsir.encoders.feature_cache import features_seconds, stored
from rsir.utils.errors import RsirError

CHECKPOINTS = (".pt", ".pth", ".bin", ".ckpt", ".npz", ".safetensors")


@dataclass(frozen=True)
class DualEncoder:
    """A model with a vector for a picture and one for a sentence.

    Attributes:
        name: as the caller gave it, paths cut to their last part.
        facts: what decides a vector, JSON: library, revision, weights, how
            pictures and sentences are prepared.
        images: PIL pictures to `[n, dim]`.
        texts: sentences to `[n, dim]`.
        too_long: which of some sentences are longer than the model reads; None
            where the library does not tell.
    """

    name: str
    facts: dict
    images: Callable[[list], torch.Tensor] = field(repr=False)
    texts: Callable[[list[str]], torch.Tensor] = field(repr=False)
    too_long: Callable[[list[str]], list[bool]] | None = field(default=None, repr=False)

    def identity(self) -> dict:
        """What its vectors are kept under, beside the pictures."""
        return self.facts


def load(model: str, device: str = "cpu") -> DualEncoder:
    """The model of a name such as "hf:flax-community/clip-rsicd-v2".

    Raises:
        RsirError: no such model, revision, file, library or device; access
            is not granted; the hub cannot be reached; weights are missing; or
            it has no vector for pictures or none for sentences.
    """
    kind, _, name = model.partition(":")
    if kind not in LIBRARIES or not name:
        known = ", ".join(f"{kind}:..." for kind in LIBRARIES)
        raise RsirError(f"model {model!r}: give one of {known}")
    if device == "cuda" and not torch.cuda.is_available():
        raise RsirError("--device cuda: PyTorch sees no GPU; use --device cpu")
    encoder = LIBRARIES[kind](name, device)
    facts = {"device": device, "precision": "float32"} | encoder.facts
    return replace(encoder, facts=facts)


# -- three libraries -------------------------------------------------------


def _transformers(name: str, device: str) -> DualEncoder:
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    place, revision, label = _place("hf", name)
    options = {"revision": revision}
    with _loading(label):
        model, loaded = transformers.AutoModel.from_pretrained(
            place, dtype=torch.float32, output_loading_info=True, **options
        )
        lacks = [*loaded["missing_keys"], *loaded["mismatched_keys"]]
        if lacks:
            raise RsirError(
                f"{label}: {len(lacks)} weights are not in its files ({lacks[0]}, "
                "...) and would be random; take files that are whole"
            )
        for way in ("image", "text"):
            if not hasattr(model, f"get_{way}_features"):
                raise RsirError(
                    f"{label}: {type(model).__name__} has no {way} features; take a "
                    "model of two towers, such as a CLIP or a SigLIP"
                )
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, **options)
        processor = transformers.AutoImageProcessor.from_pretrained(place, **options)
    model.to(device).eval()
    sizes = getattr(model.config, "text_config", model.config)
    longest = getattr(sizes, "max_position_embeddings", tokenizer.model_max_length)
    # SigLIP learned from sentences that were padded to the full length
    padding = "max_length" if "siglip" in model.config.model_type else True

    def vectors(encode, inputs) -> torch.Tensor:
        found = encode(**inputs.to(device))
        return getattr(found, "pooler_output", found)

    def images(pictures: list) -> torch.Tensor:
        inputs = processor(images=pictures, return_tensors="pt")
        return vectors(model.get_image_features, inputs)

    def texts(sentences: list[str]) -> torch.Tensor:
        limits = {"truncation": True, "max_length": longest, "padding": padding}
        inputs = tokenizer(sentences, return_tensors="pt", **limits)
        return vectors(model.get_text_features, inputs)

    def too_long(sentences: list[str]) -> list[bool]:
        return [len(ids) > longest for ids in tokenizer(sentences)["input_ids"]]

    words = getattr(tokenizer, "backend_tokenizer", None)
    prepared = processor.to_json_string(), words.to_str() if words else "", padding
    facts = {
        "library": f"transformers {transformers.__version__}",
        "revision": _commit(place, revision, "config.json"),
        "weights": weights_hash(model),
        "prepared": _digest(prepared),
    }
    return DualEncoder(label, facts, images, texts, too_long)


def _open_clip(name: str, device: str) -> DualEncoder:
    library = _optional("open_clip", "open_clip_torch")
    architecture, _, weights = name.partition("/")
    path = Path(weights).expanduser()
    file = path.suffix in CHECKPOINTS
    label = f"open_clip:{architecture}/{path.name if file else weights}"
    if not weights:
        raise RsirError(f"{label}: give open_clip:ARCHITECTURE/TAG or /FILE.pt")
    if file and not path.is_file():
        raise RsirError(f"{label}: no file {path}; check the path")
    names = library.list_models()
    if architecture not in names:
        near = get_close_matches(architecture, names, cutoff=0.5) or names[:3]
        raise RsirError(
            f"{label}: open_clip has no architecture {architecture!r}; near are "
            f"{', '.join(near)} (open_clip.list_models() has all)"
        )
    tags = library.list_pretrained_tags_by_model(architecture)
    if not file and weights not in tags:
        raise RsirError(
            f"{label}: open_clip has no weights {weights!r} for {architecture}; it "
            f"has {', '.join(tags) or 'none'}; or give the path of a .pt file"
        )
    with _loading(label), warnings.catch_warnings():
        warnings.filterwarnings("error", "QuickGELU mismatch")
        try:
            model, _, transform = library.create_model_and_transforms(
                architecture, pretrained=str(path) if file else weights, device=device
            )
        except UserWarning as warning:
            raise RsirError(
                f"{label}: these weights have another activation than "
                f"{architecture}; use {_twin(architecture)}/{weights}"
            ) from warning
        tokenizer = library.get_tokenizer(architecture)
    model.float().eval()

    def images(pictures: list) -> torch.Tensor:
        pixels = torch.stack([transform(picture) for picture in pictures])
        return model.encode_image(pixels.to(device))

    def texts(sentences: list[str]) -> torch.Tensor:
        return model.encode_text(tokenizer(sentences).to(device))

    def too_long(sentences: list[str]) -> list[bool]:
        most = tokenizer.context_length - 2  # a token begins and one ends each
        return [len(tokenizer.encode(sentence)) > most for sentence in sentences]

    facts = {
        "library": f"open_clip {library.__version__}",
        "revision": None,
        "weights": weights_hash(model),
        "prepared": _digest(transform),
    }
    counts = too_long if hasattr(tokenizer, "encode") else None
    return DualEncoder(label, facts, images, texts, counts)


def _twin(architecture: str) -> str:
    """The architecture with the other of open_clip's two activations."""
    bare = architecture.removesuffix("-quickgelu")
    return bare if bare != architecture else f"{bare}-quickgelu"


def _sentence_transformers(name: str, device: str) -> DualEncoder:
    library = _optional("sentence_transformers", "sentence-transformers")
    place, revision, label = _place("st", name)
    with _loading(label):
        model = library.SentenceTransformer(place, revision=revision, device=device)
    model.float().eval()
    encode = partial(model.encode, convert_to_tensor=True, show_progress_bar=False)
    facts = {
        "library": f"sentence-transformers {library.__version__}",
        "revision": _commit(place, revision, "modules.json"),
        "weights": weights_hash(model),
        "prepared": None,
    }
    return DualEncoder(label, facts, encode, encode)


LIBRARIES = {
    "hf": _transformers,
    "open_clip": _open_clip,
    "st": _sentence_transformers,
}


def _place(kind: str, name: str) -> tuple[str, str | None, str]:
    """(hub id or folder, revision, label) of NAME, NAME@REVISION or FOLDER."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder), None, f"{kind}:{folder.resolve().name}"
    if name.startswith(("/", ".", "~")):
        raise RsirError(f"{kind}:{folder.name}: no folder {folder}; check the path")
    place, _, revision = name.partition("@")
    return place, revision or None, f"{kind}:{name}"


def _commit(place: str, revision: str | None, file: str) -> str | None:
    """The commit of the hub's cache that a model came from; None for a folder."""
    from huggingface_hub import try_to_load_from_cache

    if Path(place).is_dir():
        return None
    short = "/" not in place  # sentence-transformers has an owner for its own
    name = f"sentence-transformers/{place}" if short else place
    found = try_to_load_from_cache(name, file, revision=revision)
    return Path(found).parent.name if isinstance(found, str) else revision


def _optional(module: str, package: str):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RsirError(
            f"{module} cannot be imported ({error}); install it with: "
            f"pip install {package}"
        ) from error


def _digest(prepared) -> str:
    return hashlib.sha256(str(prepared).encode()).hexdigest()[:16]


@contextmanager
def _loading(label: str) -> Iterator[None]:
    """Whatever goes wrong with a model is a user error: one line, with a remedy."""
    from huggingface_hub import errors

    unreachable = errors.LocalEntryNotFoundError, ConnectionError, TimeoutError
    remedies = [  # the first that fits; a gated model is a kind of missing one
        (errors.GatedRepoError, "ask for access on its page, then: hf auth login"),
        (
            errors.RevisionNotFoundError,
            "no such revision; its page lists them, or leave out @REVISION",
        ),
        (
            errors.RepositoryNotFoundError,
            "no such model, or a private one; check the name, or: hf auth login",
        ),
        (
            unreachable,
            "it is not in the hub's cache and the hub was not reached; connect once, "
            "or copy its files and give their place",
        ),
    ]
    quiet = logging.root.manager.disable
    logging.disable(logging.ERROR)  # of tries that failed; the last one raises
    try:
        yield
    except RsirError:
        raise
    except Exception as error:  # each library has errors of its own
        chain = [error]
        while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(cause)
        for kinds, remedy in remedies:
            if any(isinstance(one, kinds) for one in chain):
                break
        else:
            remedy = "check the name and the files"
        why = " ".join(str(error).split())[:160] or type(error).__name__
        raise RsirError(f"{label}: {remedy} ({why})") from error
    finally:
        logging.disable(quiet)


# -- scores ----------------------------------------------------------------


def score_split(
    encoder: DualEncoder,
    split: Split,
    prompt: str = "{}",
    *,
    batch: int = 32,
    progress: bool = True,
) -> tuple[np.ndarray, dict]:
    """Cosines `[n_images, n_captions]`, and what the work was.

    Equal captions and equal picture files get equal scores, to the bit, so
    that ties are ties. Vectors are kept in the feature cache; a killed run
    goes on there.

    Args:
        prompt: what is read, `{}` stands for the caption.
        batch: pictures (32 at most) or sentences that are encoded together.

    Returns:
        The scores; {"features": seconds of the passes that made the vectors,
        "too_long": captions that were cut to what the model reads, or None}.

    Raises:
        RsirError: nothing to score, a prompt without `{}`, a picture that
            cannot be read, a vector that is not finite or is zero, or vectors
            of two widths.
    """
    if "{}" not in prompt:
        raise RsirError(f"--prompt {prompt!r}: has no {{}} for the caption; add it")
    if not split.n_captions:
        raise RsirError(
            f"{split.dataset} {split.name}: has no captions; take another --split"
        )
    texts, text_id = split.unique_texts()
    said = [prompt.replace("{}", text) for text in texts]
    per_row = -(-len(said) // split.n_images)  # sentences in a row of the store

    def look(rows: range, _) -> dict[str, np.ndarray]:
        pictures = in_threads(split.open, rows)
        names = [split.images[i].name for i in rows]
        return {"images": _encode(encoder, "images", pictures, names, batch)}

    def read(rows: range, _) -> dict[str, np.ndarray]:
        some = said[rows.start * per_row : rows.stop * per_row]
        found = _encode(encoder, "texts", some or said[-1:], some or said[-1:], batch)
        padded = np.zeros((len(rows) * per_row, found.shape[1]), np.float32)
        padded[: len(some)] = found[: len(some)]
        return {"texts": padded.reshape(len(rows), per_row, -1)}

    reader = replace(encoder, facts=encoder.facts | {"texts": _digest(said)})
    vectors, seconds = [], 0.0
    for one, name, compute in ((encoder, "images", look), (reader, "texts", read)):
        what = one.name, one.identity(), split, [name], compute
        vectors.append(stored(*what, progress=progress)[name])
        seconds += features_seconds(one, split, [name])
    images, sentences = vectors
    files = image_hashes(split)
    first = {digest: i for i, digest in reversed([*enumerate(files)])}
    images = images[[first[digest] for digest in files]]
    sentences = sentences.reshape(-1, sentences.shape[-1])[: len(said)]
    scores = cosines(images, sentences)[:, text_id]
    cut = None
    if encoder.too_long is not None:
        cut = int(np.array(encoder.too_long(said))[text_id].sum())
    return scores, {"features": seconds, "too_long": cut}


@torch.inference_mode()
def _encode(encoder, way: str, items: list, names: Sequence[str], batch: int):
    """Vectors of length 1 `[len(items), dim]`, float32, nothing else."""
    found = []
    for start in range(0, len(items), batch):
        part = items[start : start + batch]
        try:
            found.append(getattr(encoder, way)(part).float().cpu().numpy())
        except Exception as error:  # each model has errors of its own
            why = " ".join(str(error).split())[:160] or type(error).__name__
            raise RsirError(
                f"{encoder.name}: cannot encode {way}, from {names[start]!r} on "
                f"({type(error).__name__}: {why}); take a model of two towers, or a "
                "smaller --batch if memory ran out"
            ) from error
    return unit(np.concatenate(found), f"{encoder.name}: {way}", names)


def unit(rows, what: str, names: Sequence[str] | None = None) -> np.ndarray:
    """Rows `[n, dim]` of length 1, float32.

    Raises:
        RsirError: not such an array, or a row that has no direction: with NaN
            or infinity, or zero; named by its number and by `names`.
    """
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu" or not rows.size:
        raise RsirError(
            f"{what}: {rows.dtype} of shape {rows.shape}; give numbers [n, dim], a "
            "row a picture or a caption"
        )
    rows = rows.astype(np.float32)
    length = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    if len(bad := np.flatnonzero(~(np.isfinite(length) & (length > 0)))):
        name = f" ({names[bad[0]]})" if names is not None else ""
        raise RsirError(
            f"{what}: the vector of row {bad[0]}{name} is "
            f"{'zero' if length[bad[0]] == 0 else 'not finite'}, as are "
            f"{len(bad) - 1} others; leave such rows out, or repair the model"
        )
    return (rows / length).astype(np.float32)


def cosines(images, texts) -> np.ndarray:
    """Cosines `[n_images, n_texts]` of two sets of vectors, float32.

    Equal vectors get equal scores: each is multiplied once. (A product of
    matrices adds in another order at another place.)

    Raises:
        RsirError: as `unit`, or vectors of two widths.
    """
    sides = unit(images, "embeddings of images"), unit(texts, "embeddings of texts")
    if sides[0].shape[1] != sides[1].shape[1]:
        raise RsirError(
            f"embeddings: images have {sides[0].shape[1]} numbers, texts have "
            f"{sides[1].shape[1]}; give both as they leave one model's projections"
        )
    (a, i), (b, j) = (np.unique(x, axis=0, return_inverse=True) for x in sides)
    return (a @ b.T)[np.ix_(i.ravel(), j.ravel())]


def call(name: str, split: Split) -> np.ndarray:
    """Scores by `module:function` of the reader; the working folder counts.

    The function gets the split and returns scores `[n_images, n_captions]`,
    or embeddings of the images and of the captions.

    Raises:
        RsirError: it cannot be imported, it failed, or as `cosines`.
    """
    module, _, function = name.partition(":")
    label = f"python:{name}"
    if not module or not function:
        raise RsirError(f"{label}: write it as python:MODULE:FUNCTION")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), function)(split)
    except Exception as error:  # it may raise anything
        trace = error.__traceback__
        while trace.tb_next:
            trace = trace.tb_next
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        why = " ".join(str(error).split())[:160]
        raise RsirError(
            f"{label}: {type(error).__name__}: {why} (at {where}); it is called with "
            "a Split"
        ) from error
    finally:
        sys.path.remove(os.getcwd())
    if isinstance(found, tuple | list) and len(found) == 2:
        return cosines(*map(_array, found))
    return _array(found)


def _array(found) -> np.ndarray:
    if isinstance(found, torch.Tensor):
        found = found.detach().float().cpu().numpy()
    return np.asarray(found)
