"""Whatever is brought: a result that is right, or an RsirError."""

import csv
import io
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from small_data import picture

from rsir.data import PixelOptions, load_dataset, open_image
from rsir.data.verify import verify
from rsir.utils.errors import RsirError

QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# torch may have been told to take the smallest numbers for 0
FLOAT = st.floats(allow_subnormal=False)
SHARE = st.floats(0, 0.999, allow_subnormal=False)
TEXT = st.text(st.characters(blacklist_characters="\x00"), max_size=12)
FILES = [f"{i}.png" for i in range(4)]


def loaded(write):
    """The data set that `write` puts into a folder with four pictures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for i, name in enumerate(FILES):
            picture(folder / "images" / name, i)
        write(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                splits = load_dataset(folder, verify=True)
            except RsirError as error:
                assert "\n" not in str(error)
                return None
            seen = verify(folder)
            assert seen.ok and seen.splits.test.digest() == splits.test.digest()
            return splits


def pairs_of(splits):
    return sorted(
        (s.name, s.ids[o], c)
        for s in splits
        for o, c in zip(s.owner, s.captions, strict=True)
    )


@QUICK
@given(
    st.lists(st.tuples(st.sampled_from(FILES), TEXT), min_size=1, max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_csv_that_a_library_wrote(rows, separator, end, split):
    """Every row arrives, once, whatever signs its caption has."""
    parts = {name: ("test", "test", "train", "val")[i] for i, name in enumerate(FILES)}
    rows = [[n, c, parts[n]] if split else [n, c] for n, c in rows]

    def write(folder):
        box = io.StringIO()
        table = csv.writer(box, delimiter=separator, lineterminator=end)
        table.writerow(["filename", "caption", "split"][: 2 + split])
        table.writerows(rows)
        data = box.getvalue().encode("utf-8", "surrogatepass")
        (folder / "captions.csv").write_bytes(data)

    splits = loaded(write)
    if splits is None:
        return
    found = sorted((n, "".join(c.split())) for _, n, c in pairs_of(splits))
    assert found == sorted((n, "".join(c.split()) or ".") for n, c, *_ in rows)
    if split:
        assert all(parts[n] == p for p, n, _ in pairs_of(splits))


@QUICK
@given(st.text(max_size=60), st.sampled_from(["filename,caption\n", "", "\ufeff"]))
def test_csv_of_any_text(text, head):
    loaded(
        lambda f: (f / "captions.csv").write_bytes(
            (head + text).encode("utf-8", "surrogatepass")
        )
    )


KEYS = "images filename split sentences raw image caption keywords".split()
JSON = st.recursive(
    st.none() | st.booleans() | FLOAT | st.integers() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
SPLIT = st.sampled_from(["train", "val", "test"])
ITEM = st.fixed_dictionaries(
    {
        "filename": st.sampled_from([*FILES, "9.png"]),
        "split": SPLIT | JSON,
        "sentences": st.lists(st.fixed_dictionaries({"raw": TEXT}) | JSON, max_size=3),
    }
)


@QUICK
@given(
    st.lists(ITEM, max_size=4).map(lambda items: {"images": items}) | JSON,
    st.sampled_from(["dataset.json", "own_test.json", "test.json"]),
)
def test_any_json(data, name):
    splits = loaded(lambda f: (f / name).write_text(json.dumps(data)))
    if splits is not None and name == "dataset.json":
        listed = sum(len(item["sentences"]) for item in data["images"])
        assert sum(s.n_captions for s in splits) == listed
        assert sum(len(s) for s in splits) == len(data["images"])


@QUICK
@given(
    st.sampled_from("1 L LA P RGB RGBA CMYK I I;16 F".split()),
    st.sampled_from("png jpeg tiff gif webp bmp jpeg2000".split()),
    SHARE,
    st.lists(st.tuples(SHARE, st.integers(0, 255)), max_size=3),
)
def test_any_picture(tmp_path, mode, kind, keep, damage):
    """Modes that a format has not, cut and flipped bytes."""
    image = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    image = image.convert("L") if mode in "I;16 F" else image
    box = io.BytesIO()
    try:
        image.convert(mode).save(box, kind)
    except (OSError, ValueError):
        return
    data = bytearray(box.getvalue())
    for at, value in damage:
        data[int(at * len(data))] = value
    path = tmp_path / "a.bin"
    path.write_bytes(data[: int(np.ceil(keep * len(data)))])
    for options in (None, PixelOptions((1,), (0, 100)), PixelOptions((3, 2, 1))):
        try:
            found = open_image(path, options)
        except RsirError as error:
            assert "a.bin" in str(error)
        else:
            assert found.mode == "RGB" and min(found.size) > 0


@QUICK
@given(
    st.sampled_from("uint8 int8 uint16 int16 uint32 float32 float64".split()),
    st.integers(1, 6),
    st.sampled_from(["contig", "separate", None]),
    st.sampled_from(["minisblack", "rgb"]),
    st.sampled_from([None, "zlib"]),
)
def test_any_tiff(tmp_path, kind, bands, planar, photometric, compression):
    """Bands and scale give the chosen numbers, whatever the kind."""
    if photometric == "rgb" and bands < 3:
        return
    array = np.random.default_rng(bands).integers(0, 100, (16, 16, bands)).astype(kind)
    stored = array if planar == "contig" else np.moveaxis(array, 2, 0)
    stored = array[..., 0] if bands == 1 else stored
    options = {"planarconfig": planar} if bands > 1 else {}
    if photometric == "rgb":
        options["extrasamples"] = ["unspecified"] * (bands - 3)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, stored, photometric=photometric, compression=compression, **options
    )
    for chosen in [(1,), (bands,), *([(3, 2, 1)] if bands > 2 else [])]:
        found = np.asarray(open_image(path, PixelOptions(chosen, (0, 255))))
        want = array[..., [b - 1 for b in chosen]].astype(float)
        assert np.array_equal(found, np.broadcast_to(np.rint(want), found.shape))
    alone = bands in (1, 3) or (bands == 4 and photometric == "rgb")
    try:
        found = np.asarray(open_image(path))
    except RsirError as error:
        assert kind != "uint8" or not alone
        assert "bands=" in str(error) or "scale=" in str(error)
    else:
        assert kind == "uint8" and alone
        want = np.broadcast_to(array[..., :3], found.shape)
        assert np.array_equal(found, want)
