"""`rsir bench MODEL`: somebody else's model under this book's protocol."""

import shlex
import sys
import time
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from rsir.cli.evaluate import load_array, print_report
from rsir.cli.options import Dataset, Root, option
from rsir.utils.errors import RsirError

KINDS = "hf:NAME open_clip:ARCHITECTURE/WEIGHTS st:NAME scores:FILE.npy"
KINDS += " embeddings:IMAGES.npy,TEXTS.npy python:MODULE:FUNCTION weights:NAME"
ENCODERS = ("hf", "open_clip", "st")
FILES = ("scores", "embeddings")


def bench_command(
    model: Annotated[str, typer.Argument(help=f"One of {KINDS}.")],
    dataset: Dataset = "toy",
    split: Annotated[str, option("train, val or test; records are of test.")] = "test",
    root: Root = None,
    owner: Annotated[
        Path | None,
        option(
            "The image of each column as .npy, for scores, embeddings and functions "
            "whose captions stand in another order than the data set's."
        ),
    ] = None,
    prompt: Annotated[
        str, option("What the model reads; {} stands for the caption.")
    ] = "{}",
    as_json: Annotated[bool, option("Print one JSON object alone.", "--json")] = False,
    batch: Annotated[
        int, option("Sentences, or pictures (at most 32), at a time.", min=1)
    ] = 32,
    device: Annotated[str, option("cpu or cuda.")] = "cpu",
    results: Annotated[
        Path | None,
        option("Where its record goes; default results/, for data sets by name."),
    ] = None,
    no_record: Annotated[bool, option("Only print.", "--no-record")] = False,
) -> None:
    """Recalls of a model that others have trained; nothing is trained here.

    Vectors are kept in the feature cache: a command that was killed goes on
    when it is given again.
    """
    kind, _, name = model.partition(":")
    _check(kind, name, owner, prompt, device)
    from rsir.data import NAMES, load_dataset
    from rsir.data.toy import WORLDS
    from rsir.evaluation.metrics import evaluate

    recorded = not no_record and split == "test"
    recorded &= results is not None or dataset in (*NAMES, *WORLDS)
    if recorded:  # refuse before the work, not after it
        commit, results = _where_records_go(results)
    with redirect_stdout(sys.stderr):
        splits = load_dataset(dataset, root)
        part = splits[split]
        scores, facts, features = _scores(kind, name, part, prompt, batch, device)
    owners = part.owner if owner is None else load_array(owner, "--owner")
    start = time.perf_counter()
    _check_shape(facts["model"], scores, part, owner)
    try:
        report = evaluate(scores, owners)
    except RsirError:
        raise
    except ValueError as error:
        raise RsirError(f"{facts['model']}: {error}") from error
    if recorded:
        from rsir.experiments import bench

        took = {"features": features, "evaluate": time.perf_counter() - start}
        words = ["rsir", "bench", facts["model"], "--dataset", dataset]
        words += ["--prompt", prompt] if prompt != "{}" else []
        words += ["--owner", owner.name] if owner else []
        words += ["--device", device] if device != "cpu" else []
        made = bench.write(
            report,
            splits,
            facts,
            command=shlex.join(words),
            commit=commit,
            seconds=took,
            results=results,
        )
        print(f"record: {made}", file=sys.stderr)
    elif not no_record:
        own = "these data are your own; --results DIR keeps one"
        why = "records are of the test split" if split != "test" else own
        print(f"no record: {why}", file=sys.stderr)
    print_report(report, as_json)


def _check(kind: str, name: str, owner, prompt: str, device: str) -> None:
    if kind not in (*ENCODERS, *FILES, "python", "weights") or not name:
        raise RsirError(f"MODEL {kind + ':' + name!r}: give one of {KINDS}")
    if device not in ("cpu", "cuda"):
        raise RsirError(f"--device {device!r}: use cpu or cuda")
    if kind in ENCODERS and owner is not None:
        raise RsirError(
            f"--owner: {kind} models read the captions of the data set, whose images "
            "are known; leave it out"
        )
    if kind not in ENCODERS and prompt != "{}":
        raise RsirError(f"--prompt: {kind} has read its sentences; leave it out")


def _where_records_go(results: Path | None) -> tuple[str, Path]:
    from rsir.experiments.records import results_dir
    from rsir.experiments.run import clean_commit

    try:
        return clean_commit(), results or results_dir()
    except RsirError as error:
        raise RsirError(f"{error}; or give --no-record") from error


def _scores(kind: str, name: str, part, prompt: str, batch: int, device: str):
    """Scores, the facts of a record, seconds that the vectors took."""
    if kind == "scores":
        path = Path(name)
        facts = _facts(f"scores:{path.name}", prompt)
        scores = load_array(path, "scores")
        return scores, facts | {"weights": _digest(path)}, 0.0
    from rsir.retrieval import zero_shot

    if kind == "embeddings":
        names = name.split(",")
        if len(names) != 2:
            raise RsirError(
                f"embeddings:{name}: give two files, embeddings:IMAGES.npy,TEXTS.npy"
            )
        paths = [Path(one) for one in names]
        facts = _facts(f"embeddings:{','.join(path.name for path in paths)}", prompt)
        sides = [load_array(path, "embeddings") for path in paths]
        facts["weights"] = ",".join(map(_digest, paths))
        return zero_shot.cosines(*sides), facts, 0.0
    if kind == "weights":
        return _scores_of_weights(name, part)
    if kind == "python":
        start = time.perf_counter()
        scores = zero_shot.call(name, part)
        facts = _facts(f"python:{name}", prompt)
        return scores, facts, time.perf_counter() - start
    encoder = zero_shot.load(f"{kind}:{name}", device)
    scores, work = zero_shot.score_split(encoder, part, prompt, batch=batch)
    facts = _facts(encoder.name, prompt) | encoder.facts
    facts["too_long"] = work["too_long"]
    if work["too_long"]:
        warnings.warn(
            f"{encoder.name}: {work['too_long']} of {part.n_captions} captions are "
            "longer than it reads, and were cut",
            stacklevel=1,
        )
    return scores, facts, work["features"]


def _scores_of_weights(name: str, part):
    """As `_scores`, of a model that comes with the project; refused where it has
    seen what it would be asked."""
    from rsir.encoders.base import weights_hash
    from rsir.models.base import score_split
    from rsir.training.weights import load_weights, model_card

    for other, why in model_card(name).get("not for", {}).items():
        if part.dataset.startswith(other):
            raise RsirError(f"weights:{name} on {part.dataset}: {why}; no recall")
    start = time.perf_counter()
    model = load_weights(name)
    facts = _facts(f"weights:{name}", "{}") | {"weights": weights_hash(model)}
    return score_split(model, part), facts, time.perf_counter() - start


def _facts(model: str, prompt: str) -> dict:
    """What every record of a model has; pages read both encoders as frozen."""
    both = {"image_encoder": model, "text_encoder": model, "text_layers": 0}
    return {"model": model, "prompt": prompt} | both


def _digest(path: Path) -> str:
    from rsir.utils.io import sha256_of

    return sha256_of(path)[:16]


def _check_shape(model: str, scores, part, owner: Path | None) -> None:
    """One row an image of the split; without --owner, one column a caption."""
    wanted = part.n_images, part.n_captions
    if scores.ndim != 2 or scores.shape[0] != wanted[0]:
        fits = False
    else:
        fits = owner is not None or scores.shape[1] == wanted[1]
    if not fits:
        raise RsirError(
            f"{model}: scores of shape {scores.shape}, but {part.dataset} "
            f"{part.name} has {wanted[0]} images and {wanted[1]} captions; score them "
            "in the order of the data set (or score any matrix with rsir evaluate)"
        )
