"""`rsir bench`: models of others, two tiny ones of them in the hub's layout."""

import json
import logging
import re
import shutil
import sys
import types
import warnings

import httpx
import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import errors
from nbkit import ROOT
from pages import results as results_page
from PIL import Image
from tiny import cache, cached, draw, quiet, tiny_config  # noqa: F401
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from rsir.data import Split, load_dataset
from rsir.encoders.base import weights_hash
from rsir.evaluation.metrics import evaluate
from rsir.experiments import run as runs
from rsir.experiments import tables
from rsir.experiments.records import load_records, read_record
from rsir.models.base import score_split as score_towers
from rsir.retrieval import zero_shot
from rsir.retrieval.zero_shot import DualEncoder, cosines, score_split
from rsir.training.weights import load_weights, save_weights
from rsir.utils.errors import RsirError

pytestmark = pytest.mark.usefixtures("cached")
WORDS = "a roof on ground with one red green blue white black yellow".split()
LONGEST = 9
SMALL = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
TEXT = {"vocab_size": 40, "max_position_embeddings": LONGEST}
TEXT |= SMALL | {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
VISION = SMALL | {"image_size": 16, "patch_size": 8}


def tokenizer():
    """One id a word, a token before and one after the sentence."""
    marks = {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}
    words = marks | {word: i for i, word in enumerate(WORDS, len(marks))}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    names = {"pad_token": "<pad>", "unk_token": "<unk>"}
    names |= {"bos_token": "<s>", "eos_token": "</s>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)


@pytest.fixture(scope="session")
def hub(tmp_path_factory):
    """Folders `clip`, `siglip` and, without text features, `vit`."""
    home, t = tmp_path_factory.mktemp("hub"), transformers
    torch.manual_seed(0)
    clip = t.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=8)
    wide = TEXT | {"projection_size": 16}
    siglip = t.SiglipConfig(text_config=wide, vision_config=VISION)
    square = {"height": 16, "width": 16}
    cut = {"size": {"shortest_edge": 16}, "crop_size": square}
    for name, model, processor in (
        ("clip", t.CLIPModel(clip), t.CLIPImageProcessor(**cut)),
        ("siglip", t.SiglipModel(siglip), t.SiglipImageProcessor(size=square)),
        ("vit", t.ViTModel(t.ViTConfig(**VISION)), t.ViTImageProcessor(size=square)),
    ):
        for part in (model, processor, tokenizer()):
            part.save_pretrained(home / name)
    return home


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Squares, and captions of which no two are equal."""
    home = draw(tmp_path_factory.mktemp("bench") / "squares")
    head, *rows = (home / "captions.csv").read_text().splitlines()
    for i, first in enumerate(rows[::2]):  # of which the second says less
        name, text, part = first.split(",")
        _, roof, _, _, ground, _ = text.split()
        rows[2 * i + 1] = f"{name},{ground} ground with one {roof} roof,{part}"
    (home / "captions.csv").write_text("\n".join([head, *rows]))
    return home


@pytest.fixture(scope="session")
def splits(folder):
    return load_dataset(str(folder))


@pytest.fixture
def bench(called, folder, monkeypatch):
    """Run it on the squares; no git is asked."""
    monkeypatch.setattr(runs, "clean_commit", lambda: "0123456789")

    def call(*words):
        return called("bench", *words, "--dataset", folder)

    return call


@pytest.fixture
def refused(bench):
    """Run it; it must end with 2, print nothing, and say one line."""

    def call(*words):
        code, out, err = bench(*words)
        errors = [line for line in err.splitlines() if "done in" not in line]
        assert code == 2 and out == "" and len(errors) == 1, err
        return errors[0]

    return call


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_a_model_of_the_hub_is_scored_as_one_at_a_time(bench, hub, splits, name):
    test = splits.test
    model = transformers.AutoModel.from_pretrained(hub / name, dtype=torch.float32)
    words = transformers.AutoTokenizer.from_pretrained(hub / name)
    look = transformers.AutoImageProcessor.from_pretrained(hub / name)
    padding = {"padding": "max_length", "max_length": LONGEST} if name != "clip" else {}
    sides = [], []
    with torch.no_grad():  # one at a time
        for i in range(test.n_images):
            pixels = look(images=test.open(i), return_tensors="pt")
            sides[0].append(model.get_image_features(**pixels).pooler_output[0])
        for text in test.captions:
            ids = words(text, return_tensors="pt", **padding)
            sides[1].append(model.get_text_features(**ids).pooler_output[0])
    a, b = (torch.nn.functional.normalize(torch.stack(x), dim=1) for x in sides)
    wanted = (a @ b.T).numpy()
    scores, work = score_split(zero_shot.load(f"hf:{hub / name}"), test, progress=False)
    assert scores == pytest.approx(wanted, abs=2e-6) and work["too_long"] == 0
    assert len(np.unique(scores)) == scores.size  # no ties
    code, out, err = bench(f"hf:{hub / name}", "--no-record", "--json")
    assert code == 0 and "done in" not in err  # from the cache
    assert json.loads(out) == evaluated(scores, test.owner)


def evaluated(scores, owner=None):
    """What `rsir evaluate --json` prints."""
    report = evaluate(scores, owner).to_dict()
    del report["median_rank"]
    return json.loads(json.dumps(report))


def test_the_revision_is_the_commit_that_the_hub_resolved(hub, tmp_path, monkeypatch):
    from huggingface_hub import constants, file_download
    from transformers.utils import hub as of_transformers

    commit, home = "0123456789" * 4, tmp_path / "models--some--clip"
    (home / "refs").mkdir(parents=True)
    (home / "refs/main").write_text(commit)
    shutil.copytree(hub / "clip", home / "snapshots" / commit)
    for module in (constants, file_download, of_transformers):
        if hasattr(module, "HF_HUB_CACHE"):
            monkeypatch.setattr(module, "HF_HUB_CACHE", str(tmp_path))
    for name in ("hf:some/clip", f"hf:some/clip@{commit}"):
        encoder = zero_shot.load(name)
        assert encoder.name == name and encoder.facts["revision"] == commit
    with pytest.raises(RsirError, match="connect once"):
        zero_shot.load("hf:some/clip@v9")


# -- records ---------------------------------------------------------------


def test_a_record_is_ordinary_and_the_results_page_shows_it(bench, hub, tmp_path):
    place = f"hf:{hub / 'clip'}"
    words = "--results", tmp_path / "results"
    code, out, err = bench(place, *words)
    assert code == 0 and "mR " in out and "record: " in err
    prompt = "one red roof with {}"
    with pytest.warns(UserWarning, match="16 of 16 captions are longer"):
        assert bench(place, *words, "--prompt", prompt, "--json")[0] == 0
    other, one = load_records(folder=tmp_path / "results")
    assert (one.method, one.dataset) == ("bench", "squares")
    assert (one.variant, other.variant) == ("hf-clip", "hf-clip-one-red-roof-with")
    assert one.config["model"] == "hf:clip" and one.config["revision"] is None
    assert len(one.config["weights"]) == 16 and one.config["too_long"] == 0
    assert other.config["too_long"] == 16  # all: ten tokens and more
    assert "retrieval/zero_shot.py" in one.modules
    assert one.command.startswith("rsir bench hf:clip --dataset")
    assert str(hub) not in one.path.read_text()
    assert one.stale() == [] and one.ranks().n_images == one.n_images == 8
    for changes, why in (
        ({"modules": {"retrieval/zero_shot.py": "0"}}, "retrieval/zero_shot.py"),
        ({"data": {}}, "data"),
    ):
        facts = json.loads(one.path.read_text()) | changes
        (tmp_path / "changed.json").write_text(json.dumps(facts))
        assert read_record(tmp_path / "changed.json").stale() == [why]
    text = results_page.render(tmp_path)["results.md"]
    assert "Published models of other authors" in text and "bench `hf-clip`" in text
    assert "Ablations" not in text
    row = next(x for x in text.splitlines() if x.startswith("| bench `hf-clip` "))
    assert row.split("|")[2].strip() == f"{one.mR:.2f} (1)"
    table = tables.runs_table(tables.load(tmp_path / "results"))
    assert table.val.isna().all() and table.mR[0] == pytest.approx(one.mR, abs=1e-4)


def test_what_is_not_recorded_is_said(bench, hub, saved, splits, tmp_path):
    place = f"hf:{hub / 'clip'}"
    assert "your own; --results DIR" in bench(place)[2]
    val = bench(place, "--split", "val", "--results", tmp_path / "r")[2]
    assert "records are of the test split" in val
    assert not (tmp_path / "r").exists()


# -- vectors ---------------------------------------------------------------


class Noisy:
    """Means of pixels and counts of letters; no two passes agree to the bit."""

    def __init__(self):
        self.noise, self.asked = np.random.default_rng(0), []

    def _blurred(self, rows):
        rows = np.array(rows, float)
        return torch.tensor(rows + 1e-6 * self.noise.random(rows.shape))

    def images(self, pictures):
        self.asked += pictures
        means = [np.asarray(x, float).mean((0, 1)) / 255 + 0.1 for x in pictures]
        return self._blurred(means)

    def texts(self, sentences):
        self.asked += sentences
        return self._blurred([[len(x), x.count("e"), x.count("o")] for x in sentences])

    def encoder(self, name):
        return DualEncoder(name, {"weights": name}, self.images, self.texts)


@pytest.fixture
def twins(tmp_path):
    """Pictures 0 and 5 are one file; captions come in three texts."""
    for i in range(6):
        colour = (40 * (i % 5), 90, 200 - 30 * (i % 5))
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{i}.png")
    rows = [(f"{i}.png", ("one", "two eyes", "food")[(i + j) % 3])
            for i in range(6) for j in range(1 + i % 2)]  # fmt: skip
    return Split.from_pairs(rows, root=tmp_path)


def test_what_is_equal_ties_to_the_bit(twins):
    noisy = Noisy()
    scores, work = score_split(noisy.encoder("noisy"), twins, batch=1, progress=False)
    assert scores.shape == (6, 9) and work["too_long"] is None
    assert np.array_equal(scores[0], scores[5])
    for text in set(twins.captions):
        same = [j for j, x in enumerate(twins.captions) if x == text]
        assert (scores[:, same] == scores[:, same[:1]]).all() and len(same) > 1
    asked = len(noisy.asked)
    again, _ = score_split(noisy.encoder("noisy"), twins, progress=False)
    assert np.array_equal(scores, again) and len(noisy.asked) == asked
    score_split(noisy.encoder("noisy"), twins, "it is {}", progress=False)
    assert {"it is one", "it is food"} <= set(noisy.asked[asked:])
    assert all(isinstance(x, str) for x in noisy.asked[asked:])  # pictures are kept


def test_a_vector_without_direction_is_named_and_not_kept(twins):
    def broken(pictures):
        rows = np.ones((len(pictures), 3))
        rows[2] = np.nan
        return torch.tensor(rows)

    encoder = DualEncoder("broken", {}, broken, Noisy().texts)
    for _ in range(2):
        with pytest.raises(RsirError, match=r"row 2 \(2.png\) is not finite"):
            score_split(encoder, twins, progress=False)


def test_cosines_of_a_loop_and_equal_rows_tie():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(5, 7)), rng.normal(size=(200, 7)).astype("f4")
    b[150], a[4] = b[3], 3 * a[0]
    got = cosines(a, b)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            norm = np.linalg.norm(x) * np.linalg.norm(y)
            assert got[i, j] == pytest.approx(x @ y / norm, abs=1e-6)
    assert np.array_equal(got[:, 150], got[:, 3])


@pytest.mark.parametrize(
    "images, texts, said",
    [
        (np.ones((2, 3)), np.ones((4, 5)), "images have 3 numbers, texts have 5"),
        (np.ones((2, 3)), np.zeros((4, 3)), "row 0 is zero, as are 3 others"),
        (np.full((2, 3), np.inf), np.ones((4, 3)), "row 0 is not finite"),
        (np.ones(3), np.ones((4, 3)), "shape .3,."),
        (np.array([["a"]]), np.ones((4, 3)), "give numbers"),
    ],
)
def test_embeddings_that_do_not_fit(images, texts, said):
    with pytest.raises(RsirError, match=said):
        cosines(images, texts)


# -- scores, embeddings, functions -------------------------------------------

MODULE = """
import numpy as np
import torch
def scores(split):
    rng = np.random.default_rng(split.n_images)
    return rng.random((split.n_images, split.n_captions))
def pair(split):
    rng = np.random.default_rng(0)
    sides = (rng.random((n, 4)) for n in (split.n_images, split.n_captions))
    return tuple(torch.tensor(x, requires_grad=True) for x in sides)
def odd(split):
    return np.ones((3, 5))
def fails(split):
    raise KeyError("colour")
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a module of the reader's."""
    (tmp_path / "readers_own.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "readers_own", raising=False)
    return tmp_path


def test_scores_embeddings_and_functions_are_scored_alike(bench, saved, splits, here):
    n, m = splits.test.n_images, splits.test.n_captions
    rng, owner = np.random.default_rng(0), splits.test.owner
    sides = rng.random((n, 4)), rng.random((m, 4))
    files = ",".join(str(saved(x, y)) for x, y in zip("IT", sides))
    scores = np.random.default_rng(n).random((n, m))
    order = rng.permutation(m)
    other = saved("O", owner[order])
    for words, wanted in (
        ([f"scores:{saved('S', scores)}"], evaluated(scores, owner)),
        (["python:readers_own:scores"], evaluated(scores, owner)),
        ([f"embeddings:{files}"], evaluated(cosines(*sides), owner)),
        (["python:readers_own:pair"], evaluated(cosines(*sides), owner)),
        (
            [f"scores:{saved('P', scores[:, order])}", "--owner", other],
            evaluated(scores[:, order], owner[order]),
        ),
    ):
        code, out, err = bench(*words, "--json", "--results", here / "r")
        assert code == 0, err
        assert json.loads(out) == wanted
    names = {run.config["model"] for run in load_records(folder=here / "r")}
    assert names == {"scores:S.npy", "scores:P.npy", "embeddings:I.npy,T.npy"} | {
        "python:readers_own:scores",
        "python:readers_own:pair",
    }


def test_weights_of_the_project_are_scored_and_refused_where_they_have_seen_it(
    bench, refused, splits, tmp_path, monkeypatch
):
    model = quiet(tiny_config("linear", epochs=1), splits).model
    card = {"not for": {"moon": "it has seen its craters"}}
    save_weights(model, tmp_path / "tiny.safetensors", card)
    monkeypatch.setenv("RSIR_WEIGHTS", str(tmp_path))
    code, out, err = bench("weights:tiny", "--json", "--results", tmp_path / "r")
    assert code == 0, err
    again = load_weights("tiny")
    wanted = score_towers(again, splits.test)
    assert json.loads(out) == evaluated(wanted, splits.test.owner)
    (record,) = load_records("bench", folder=tmp_path / "r")
    assert record.variant == "weights-tiny"
    assert record.config["weights"] == weights_hash(again)
    card["not for"] = {splits.name: "it has seen its squares"}
    save_weights(model, tmp_path / "tiny.safetensors", card)
    assert "it has seen its squares; no recall" in refused("weights:tiny")


def test_the_example_of_the_page_runs(bench, splits, here):
    page = (ROOT / "book/bench.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (here / "my_model.py").write_text(code)
    code, out, err = bench("python:my_model:embed", "--no-record", "--json")
    assert code == 0, err
    assert json.loads(out)["n_captions"] == splits.test.n_captions


# -- libraries that need not be installed --------------------------------------


class FakeModel(torch.nn.Module):
    """What open_clip and sentence-transformers give, as far as it is used."""

    def __init__(self, **_):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(0.5, dtype=torch.float16))

    def encode_image(self, pixels):
        return pixels.mean((2, 3)) * self.scale

    def encode_text(self, ids):
        return ids.float() + self.scale

    def encode(self, items, *, convert_to_tensor, show_progress_bar):
        assert convert_to_tensor and not show_progress_bar
        if isinstance(items[0], str):
            return torch.tensor([[len(x), 1.0, 2.0] for x in items])
        pixels = torch.stack([transform(x) for x in items])
        return self.encode_image(pixels)


def transform(picture):
    return torch.tensor(np.array(picture, np.float32)).permute(2, 0, 1) + 1


class FakeTokenizer:
    context_length = 5

    def encode(self, text):
        return text.split()

    def __call__(self, texts):
        return torch.tensor([[len(x), x.count("a"), 1] for x in texts])


@pytest.fixture
def libraries(monkeypatch):
    """Modules in their names' place; what they were asked for."""
    asked = []

    def create(architecture, *, pretrained, device):
        asked.append((architecture, pretrained, device))
        logging.warning("noise")
        if pretrained == "openai" and "quickgelu" not in architecture:
            warnings.warn("QuickGELU mismatch between this and that", stacklevel=1)
        return FakeModel(), None, transform

    open_clip = types.ModuleType("open_clip")
    open_clip.__version__ = "3"
    open_clip.list_models = lambda: ["RN50", "ViT-B-32", "ViT-B-16"]
    open_clip.list_pretrained_tags_by_model = lambda name: ["openai", "laion"]
    open_clip.create_model_and_transforms = create
    open_clip.get_tokenizer = lambda name: FakeTokenizer()
    st = types.ModuleType("sentence_transformers")
    st.__version__ = "6"
    st.SentenceTransformer = lambda name, **more: (
        asked.append((name, more)) or (FakeModel())
    )
    monkeypatch.setitem(sys.modules, "open_clip", open_clip)
    monkeypatch.setitem(sys.modules, "sentence_transformers", st)
    return asked


def test_open_clip_takes_a_tag_or_a_file(libraries, splits, tmp_path, caplog):
    file = tmp_path / "Remote.pt"
    file.touch()
    for name, wanted, label in (
        ("ViT-B-32/laion", "laion", "open_clip:ViT-B-32/laion"),
        (f"ViT-B-32/{file}", str(file), "open_clip:ViT-B-32/Remote.pt"),
    ):
        encoder = zero_shot.load(f"open_clip:{name}")
        assert encoder.name == label
        assert libraries.pop() == ("ViT-B-32", wanted, "cpu")
        scores, work = score_split(encoder, splits.test, progress=False)
        assert work["too_long"] == splits.test.n_captions  # six words and more
    assert not caplog.records
    picture = np.array(splits.test.open(3), float) + 1
    text = splits.test.captions[5]
    a = picture.mean((0, 1)) * 0.5
    b = np.array([len(text), text.count("a"), 1]) + 0.5
    wanted = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert scores[3, 5] == pytest.approx(wanted, abs=1e-5)


def test_sentence_transformers_may_name_a_revision(libraries, splits):
    encoder = zero_shot.load("st:clip-ViT-B-32@v2")
    assert libraries == [("clip-ViT-B-32", {"revision": "v2", "device": "cpu"})]
    assert encoder.facts["revision"] == "v2"
    scores, work = score_split(encoder, splits.test, progress=False)
    assert scores.shape == (8, 16) and work["too_long"] is None


# -- what goes wrong is one line -----------------------------------------------


@pytest.mark.parametrize(
    "words, said",
    [
        ("clip", "give one of hf:NAME open_clip:"),
        ("hf:", "give one of hf:NAME"),
        ("HF:x/y", "give one of hf:NAME"),
        ("hf:nobody/nothing", "the hub was not reached; connect once"),
        ("hf:nobody/nothing@v7", "the hub was not reached; connect once"),
        ("hf:/nowhere/clip", "no folder /nowhere/clip; check"),
        ("hf:not a name", "check the name and the files"),
        ("hf:HUB/vit", "ViTModel has no image features; take a model of two towers"),
        ("hf:HUB/clip --device tpu", "use cpu or cuda"),
        ("hf:HUB/clip --prompt nothing", "no {} for the caption; add it"),
        ("hf:HUB/clip --split dev", "there are train, val and test"),
        ("hf:HUB/clip --owner O.npy", "--owner: hf models read the captions"),
        ("open_clip:ViT-B-32", "give open_clip:ARCHITECTURE/TAG or /FILE.pt"),
        ("open_clip:ViT-B-32/none.pt", "no file none.pt; check the path"),
        ("open_clip:ViT-Q-9/laion", "near are ViT-B-32, ViT-B-16 (open_clip.list"),
        ("open_clip:RN50/tag", "no weights 'tag' for RN50; it has openai, laion"),
        ("open_clip:RN50/openai", "activation than RN50; use RN50-quickgelu/openai"),
        ("scores:none.npy", "none.npy: scores: no such file"),
        ("scores:S.npy --prompt x{}", "--prompt: scores has read its sentences"),
        ("scores:S.npy", "shape (3, 5), but squares test has 8 images and 16"),
        ("scores:NAN.npy", "scores:NAN.npy: scores: 1 value(s) are NaN"),
        ("embeddings:S.npy", "embeddings:IMAGES.npy,TEXTS.npy"),
        ("embeddings:S.npy,NAN.npy", "embeddings of texts: the vector of row 1"),
        ("python:readers_own", "write it as python:MODULE:FUNCTION"),
        ("python:nowhere:f", "ModuleNotFoundError: No module named 'nowhere'"),
        ("python:readers_own:g", "has no attribute 'g'"),
        ("python:readers_own:fails", "KeyError: 'colour' (at readers_own.py:"),
        ("python:readers_own:odd", "shape (3, 5), but squares test has 8"),
    ],
)
def test_one_line_says_what_to_do(refused, hub, libraries, saved, here, words, said):
    saved("S", np.ones((3, 5)))
    nan = np.ones((8, 16))
    nan[1, 2] = np.nan
    saved("NAN", nan)
    saved("O", np.zeros(16, int))
    first, *more = words.replace("HUB", str(hub)).split(" --")
    more = [word for x in more for word in f"--{x}".split(" ", 1)]
    assert said in refused(first, *more, "--no-record")


def http(kind, status):
    request = httpx.Request("GET", "https://hub")
    return kind("the hub says no", response=httpx.Response(status, request=request))


@pytest.mark.parametrize(
    "error, said",
    [
        (http(errors.GatedRepoError, 403), "ask for access on its page, then: hf auth"),
        (http(errors.RepositoryNotFoundError, 401), "no such model, or a private one"),
        (http(errors.RevisionNotFoundError, 404), "no such revision; its page lists"),
        (errors.OfflineModeIsEnabled("off"), "connect once"),
        (MemoryError("much"), "check the name and the files (it failed)"),
    ],
)
def test_errors_of_the_hub_have_remedies(refused, monkeypatch, error, said):
    def fail(*_, **__):
        raise OSError("it failed") from error

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", fail)
    assert said in refused("hf:some/model@v1", "--no-record")


@pytest.mark.parametrize("kind", ["open_clip", "st"])
def test_a_library_that_is_not_installed_is_named(refused, monkeypatch, kind):
    module = {"st": "sentence_transformers"}.get(kind, kind)
    package = {"st": "sentence-transformers", "open_clip": "open_clip_torch"}[kind]
    monkeypatch.setitem(sys.modules, module, None)
    said = refused(f"{kind}:ViT-B-32/laion", "--no-record")
    assert f"pip install {package}" in said


def test_weights_that_are_missing_are_not_made_up(refused, hub, tmp_path):
    from safetensors.torch import load_file, save_file

    for file in (hub / "clip").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    place = tmp_path / "model.safetensors"
    kept = load_file(place)
    del kept["text_projection.weight"]
    save_file(kept, place, {"format": "pt"})
    said = refused(f"hf:{tmp_path}", "--no-record")
    assert "1 weights are not in its files (text_projection.weight" in said


def test_no_gpu_and_no_checkout_are_said(refused, monkeypatch, hub, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    place = f"hf:{hub / 'clip'}"
    assert "no GPU; use --device cpu" in refused(place, "--device", "cuda")

    def dirty():
        raise RsirError("files differ")

    monkeypatch.setattr(runs, "clean_commit", dirty)
    said = refused(place, "--results", tmp_path)
    assert said.endswith("files differ; or give --no-record")
