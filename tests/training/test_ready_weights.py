"""Weights of this checkout: small, whole, and blind to every val and test list."""

import json
import warnings
from pathlib import Path

import pytest

import weights
from rsir.data import NAMES, data_root, image_hashes, load_dataset
from rsir.experiments.records import load_records
from rsir.experiments.run import digests
from rsir.training.weights import find_weights, load_weights, model_card
from rsir.utils.errors import RsirError

HOME = Path(__file__).resolve().parents[2] / "weights"
NAME, MOST = "dual", 20e6
EACH = pytest.mark.parametrize(
    "name", sorted(path.stem for path in HOME.glob("*.safetensors"))
)

pytestmark = pytest.mark.skipif(
    not (HOME / f"{NAME}.safetensors").exists(), reason="no weights in this checkout"
)


@pytest.fixture(scope="module")
def card():
    return model_card(NAME)


@pytest.fixture(scope="module")
def at_hand():
    """{name: splits} of the real data sets below RSIR_DATA."""
    found = {}
    for name in NAMES[1:]:  # without toy scenes
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[name] = load_dataset(name)
        except RsirError:
            continue
    return found


@EACH
def test_it_is_small_and_loads(name):
    assert find_weights(name).stat().st_size <= MOST
    model = load_weights(name)
    assert model.config.method == model_card(name)["method"] and not model.training


def test_recalls_of_the_card_are_records(card):
    assert card["recalls"].keys() == card["trained on"].keys()
    for name, recalls in card["recalls"].items():
        (record,) = load_records("bench", name, f"weights-{NAME}")
        assert recalls == record.recalls["expected"]


@pytest.mark.parametrize("name", weights.WORLDS)
def test_recalls_of_a_world_are_those_of_its_record(name):
    method, world, variant, seed = weights.WORLDS[name]
    card, world = model_card(name), f"world-{world}"
    (recalls,) = (
        run.recalls["expected"]
        for run in load_records(method, world, variant)
        if run.seed == seed
    )
    assert card["recalls"] == {world: recalls} and card["seed"] == seed


@EACH
def test_the_page_beside_it_is_the_card(name):
    page = (HOME / f"{name}.md").read_text(encoding="utf-8")
    assert page == weights.page(model_card(name))


def test_no_picture_it_learned_from_is_in_a_val_or_test_list(card, at_hand):
    if missing := card["trained on"].keys() - at_hand.keys():
        pytest.skip(f"RSIR_DATA has no {', '.join(missing)}")
    learned = set()
    for name, facts in card["trained on"].items():
        assert digests(at_hand[name])["train"] == facts["train"]
        learned.update(image_hashes(at_hand[name].train))
    assert len(learned) > 10_000
    for name, splits in at_hand.items():
        if name.startswith(tuple(card["not for"])):
            continue
        for split in (splits.val, splits.test):
            assert not learned & {*image_hashes(split)}, f"{name} {split.name}"


def test_what_it_is_not_for_it_has_seen(card, at_hand):
    listing = data_root() / "rsitmd" / "dataset_RSITMD.json"
    if "rsicd" not in at_hand or not listing.exists():
        pytest.skip("RSIR_DATA has no RSICD, or no list of RSITMD")
    assert "rsitmd" in card["not for"]
    images = json.loads(listing.read_text(encoding="utf-8"))["images"]
    test = {
        Path(image["source_image"]).stem
        for image in images
        if image["split"] == "test" and image["source"] == "rsicd"
    }
    assert test & {Path(path).stem for path in at_hand["rsicd"].train.images}
