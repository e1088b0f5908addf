"""Names find the right file, and pixels are read by one rule."""

import unicodedata
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from small_data import picture, scene

from rsir.data import PixelOptions, open_image
from rsir.data.images import ImageFolder, image_hashes, unreadable
from rsir.utils.errors import RsirError

# --- names ------------------------------------------------------------


@pytest.mark.parametrize(
    "files, names, found",
    [
        # a full path wins; a namesake elsewhere is another picture
        (["a/1.png", "b/1.png"], ["a/1.png", "b/1.png"], ["a/1.png", "b/1.png"]),
        (["a/1.png", "b/2.png"], ["a/1.png", "a/2.png"], ["a/1.png", None]),
        (["a/1.png", "2.png"], ["a/1.png", "a/2.png"], ["a/1.png", None]),
        (["1.png", "a/2.png"], ["1.png", "b/2.png"], ["1.png", None]),
        # the suffix may differ in the own folder, and that wins
        (["t/1.png", "old/1.jpg"], ["t/1.jpg"], ["t/1.png"]),
        (["1.jpg", "2.JPG"], ["1.tif", "2"], ["1.jpg", "2.JPG"]),
        (["1.jpg", "a/1.tif"], ["a/1.tif"], ["a/1.tif"]),
        # a bare name may lie in a class folder
        (["p/1.png", "l/2.png"], ["2.png", "1.tif"], ["l/2.png", "p/1.png"]),
        (["a/b/c.png"], ["c.png"], ["a/b/c.png"]),
        (["c.png", "a/c.png"], ["c.png"], ["c.png"]),
        # a foreign root, with the longest tail that fits
        (["a/0.png", "b/0.png"], ["/x/a/0.png", "/x/b/0.jpg"], ["a/0.png", "b/0.png"]),
        (["0.png", "1.png"], ["C:\\me\\0.png", "C:\\me\\1.png"], ["0.png", "1.png"]),
        (["0.png"], ["./0.png"], ["0.png"]),
        (["a/0.png", "0.png"], ["r/a/0.png"], ["a/0.png"]),
        (["a/0.png"], ["/x/a/0.png", "/x/a/1.png"], ["a/0.png", None]),
        # no common root: not for one name alone
        (["a/0.png", "0.png"], ["x/0.png", "y/0.png"], [None, None]),
        (["train/0.png"], ["test/0.png"], [None]),
        ([".hidden/0.png"], ["0.png"], [None]),
    ],
)
def test_names(tmp_path, files, names, found):
    for file in files:
        picture(tmp_path / file)
    folder = ImageFolder(tmp_path)
    assert folder.find_all(names) == [f and tmp_path / f for f in found]
    assert len(folder.images) == sum(f[0] != "." for f in files)


@pytest.mark.parametrize(
    "files, name",
    [
        (["a/0.png", "b/0.png"], "0.png"),
        (["0.png", "0.jpg"], "0.tif"),
        (["0.png", "a/0.jpg"], "0.jpg"),
        (["t/0.png", "t/0.jpg"], "t/0.tif"),
    ],
)
def test_several_files_fit(tmp_path, files, name):
    for file in files:
        picture(tmp_path / file)
    with pytest.raises(RsirError, match="several files"):
        ImageFolder(tmp_path).find_all([name])


@pytest.mark.parametrize("disk, listed", [("NFD", "NFC"), ("NFC", "NFD")])
def test_two_forms_of_one_name(tmp_path, disk, listed):
    picture(tmp_path / unicodedata.normalize(disk, "\u00e9t\u00e9/\u00f1 1.png"))
    names = [unicodedata.normalize(listed, n) for n in ("\u00e9t\u00e9/\u00f1 1.png",)]
    assert ImageFolder(tmp_path).find_all(names) == ImageFolder(tmp_path).images


# --- pixels -----------------------------------------------------------

RGB = scene(3)
GREY = scene(4)[..., 0]
NIR = np.full((16, 16, 1), 17, np.uint8)


def tiff(path, array, **options):
    tifffile.imwrite(path, array, **options)
    return path


def saved(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def pixels_of(path, *options):
    return np.asarray(open_image(path, *options))


@pytest.mark.parametrize("end", ["png", "bmp", "tif", "gif", "webp", "jp2", "jpg"])
def test_ordinary_pictures_are_what_pillow_reads(tmp_path, end):
    options = {"lossless": True} if end == "webp" else {}
    path = saved(tmp_path / f"a.{end}", RGB, **options)
    want = np.asarray(Image.open(path).convert("RGB"))
    assert np.array_equal(pixels_of(path), want)
    scaled = PixelOptions(scale=(0, 4080))  # for more than 8 bits only
    assert np.array_equal(pixels_of(path, scaled), want)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_other_modes_of_8_bits(tmp_path, mode):
    end = "jpg" if mode in ("CMYK", "YCbCr") else "png"
    image = Image.fromarray(RGB).convert(mode)
    image.save(tmp_path / f"a.{end}")
    want = Image.open(tmp_path / f"a.{end}").convert("RGB")
    assert np.array_equal(pixels_of(tmp_path / f"a.{end}"), np.asarray(want))


@pytest.mark.parametrize("end", ["png", "webp", "tif"])
def test_transparent_is_black(tmp_path, end):
    alpha = np.zeros((16, 16, 1), np.uint8)
    alpha[:8] = 255
    options = {"lossless": True, "exact": True} if end == "webp" else {}
    path = saved(tmp_path / f"a.{end}", np.dstack([RGB, alpha]), **options)
    assert np.array_equal(pixels_of(path), np.where(alpha > 0, RGB, 0))
    path = saved(tmp_path / "la.png", np.dstack([GREY, alpha]))
    assert np.array_equal(pixels_of(path)[..., 0], np.where(alpha[..., 0] > 0, GREY, 0))
    image = Image.fromarray(RGB).quantize(8)
    gone = image.getpixel((0, 0))
    image.save(tmp_path / "p.png", transparency=gone)
    assert (pixels_of(tmp_path / "p.png")[np.asarray(image) == gone] == 0).all()


def test_fourth_band_of_a_tiff(tmp_path):
    four = np.dstack([RGB, NIR])
    said = {"photometric": "rgb"}
    path = tiff(tmp_path / "nir.tif", four, extrasamples=["unspecified"], **said)
    assert np.array_equal(pixels_of(path), RGB)
    assert np.array_equal(pixels_of(saved(tmp_path / "nir.jp2", four)), RGB)
    path = tiff(tmp_path / "alpha.tif", four, extrasamples=["unassalpha"], **said)
    assert pixels_of(path).max() <= 17  # nearly transparent
    assert np.array_equal(pixels_of(path, PixelOptions(bands=(1, 2, 3))), RGB)
    path = tiff(tmp_path / "four.tif", four, photometric="minisblack", planarconfig=1)
    with pytest.raises(RsirError, match=r"4 band\(s\) of 8 bits.*--bands"):
        open_image(path)


PLANES = np.moveaxis(RGB, 2, 0)
IN_RGB = {"photometric": "rgb"}


@pytest.mark.parametrize(
    "array, options, scale",
    [
        (RGB.astype(np.uint16) * 16, IN_RGB, (0, 4080)),
        (RGB.astype(">u2") * 16, IN_RGB | {"byteorder": ">"}, (0, 4080)),
        (RGB.astype(np.int16) - 100, IN_RGB, (-100, 155)),
        (RGB / np.float32(255), IN_RGB, (0, 1)),
        (PLANES / 255, IN_RGB, (0, 1)),
        (RGB.astype(np.uint16), IN_RGB | {"compression": "zlib"}, (0, 255)),
        (PLANES.astype(np.uint16), {"photometric": "minisblack"}, (0, 255)),
    ],
)
def test_more_than_8_bits_need_a_scale(tmp_path, array, options, scale):
    path = tiff(tmp_path / "a.tif", array, **options)
    with pytest.raises(RsirError, match=r"a\.tif has 3 band.*bits.*scale=LOW,HIGH"):
        open_image(path)
    assert np.array_equal(pixels_of(path, PixelOptions(scale=scale)), RGB)
    swapped = PixelOptions(bands=(3, 2, 1), scale=scale)
    assert np.array_equal(pixels_of(path, swapped), RGB[..., ::-1])


@pytest.mark.parametrize("end", ["png", "tif", "jp2"])
def test_grey_of_16_bits(tmp_path, end):
    path = saved(tmp_path / f"a.{end}", GREY.astype(np.uint16) * 257)
    with pytest.raises(RsirError, match=r"1 band\(s\) of 16 bits"):
        open_image(path)
    found = pixels_of(path, PixelOptions(scale=(0, 65535)))
    assert abs(found.astype(int) - GREY[..., None]).max() <= (2 if end == "jp2" else 0)


def test_colour_png_of_16_bits_is_not_cut_in_silence(tmp_path):
    data = bytearray(saved(tmp_path / "a.png", RGB).read_bytes())
    data[24] = 16  # says the head
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(RsirError, match="3 bands of 16 bits.*TIFF"):
        open_image(tmp_path / "a.png", PixelOptions(scale=(0, 9)))


def test_many_bands(tmp_path):
    eight = np.dstack([RGB] + [NIR] * 5)
    path = tiff(tmp_path / "a.tif", eight, photometric="minisblack", planarconfig=1)
    with pytest.raises(RsirError, match="8 band.*8 bits.*--bands 3,2,1"):
        open_image(path)
    assert (pixels_of(path, PixelOptions(bands=(8,))) == 17).all()
    with pytest.raises(RsirError, match="no band 9"):
        open_image(path, PixelOptions(bands=(9, 1, 1)))


def test_what_no_option_reads(tmp_path):
    path = tiff(tmp_path / "c.tif", np.ones((4, 4), np.complex64))
    with pytest.raises(RsirError, match="not of real numbers"):
        open_image(path, PixelOptions(bands=(1,), scale=(0, 1)))


@pytest.mark.parametrize("array", [RGB, GREY[..., None].astype(np.uint16)])
def test_a_compression_that_pillow_knows_alone(tmp_path, array):
    path = saved(tmp_path / "a.tif", array.squeeze(), compression="tiff_lzw")
    found = pixels_of(path, PixelOptions(bands=(1,), scale=(0, 255)))
    assert np.array_equal(found[..., 0], array[..., 0])


def test_a_compression_that_needs_a_library(tmp_path):
    data = bytearray(tiff(tmp_path / "b.tif", RGB.astype("u2")).read_bytes())
    at = data.index(b"\x03\x01\x03\x00\x01\x00\x00\x00\x01\x00")  # uncompressed
    data[at + 8] = 5  # says LZW
    (tmp_path / "b.tif").write_bytes(data)
    with pytest.raises(RsirError, match="need imagecodecs; pip install"):
        open_image(tmp_path / "b.tif", PixelOptions(scale=(0, 255)))


def test_not_a_number_is_black(tmp_path):
    path = tiff(tmp_path / "a.tif", np.array([[np.nan, 1.0], [-5, 0.5]], np.float32))
    found = pixels_of(path, PixelOptions(scale=(0, 1)))[..., 0]
    assert found.tolist() == [[0, 255], [0, 128]]


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation(tmp_path, turn):
    """Both readers turn a picture as Pillow's own function does."""
    wide = RGB[:8]
    exif = Image.Exif()
    exif[0x0112] = turn
    found = pixels_of(saved(tmp_path / "a.png", wide, exif=exif))
    want = {1: wide, 3: wide[::-1, ::-1], 6: np.rot90(wide, -1), 8: np.rot90(wide)}
    assert np.array_equal(found, want.get(turn, found))
    options = {"extratags": [(274, 3, 1, turn, True)]}
    deep = tiff(tmp_path / "b.tif", wide.astype(np.uint16), **options)
    assert np.array_equal(pixels_of(deep, PixelOptions(scale=(0, 255))), found)
    flat = tiff(tmp_path / "c.tif", wide, **options)
    assert np.array_equal(pixels_of(flat), found)


def test_too_large_is_said_in_our_words(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    deep = tiff(tmp_path / "b.tif", RGB.astype(np.uint16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in (saved(tmp_path / "a.png", RGB), deep):
            with pytest.raises(RsirError, match="more than 100 pixels.*tiles"):
                open_image(path, PixelOptions(scale=(0, 255)))


@pytest.mark.parametrize(
    "content, message",
    [(b"", "is empty"), (b"no picture", "no picture"), (None, "truncated")],
)
def test_damaged_pictures(tmp_path, content, message):
    path = saved(tmp_path / "a.png", scene(1, 64))
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    with pytest.raises(RsirError, match=message) as caught:
        open_image(path)
    assert "a.png" in str(caught.value) and "\n" not in str(caught.value)
    good = saved(tmp_path / "b.png", RGB)
    assert [bad for bad, _ in unreadable([path, good])] == [path]


@pytest.mark.parametrize(
    "name, message", [("none.jpg", "image not found.*none.jpg"), ("", "is a folder")]
)
def test_no_file(tmp_path, name, message):
    with pytest.raises(RsirError, match=message):
        open_image(tmp_path / name)


# --- options ----------------------------------------------------------


def test_options_to_and_fro():
    options = PixelOptions.parse("3,2,1", "0,4095")
    assert options == PixelOptions((3, 2, 1), (0.0, 4095.0))
    assert PixelOptions.from_dict(options.to_dict()) == options
    assert PixelOptions.parse(None, "2%,98%").percentiles == (2.0, 98.0)
    assert PixelOptions.from_dict(None) is None
    for bands in "3,2 0 a".split():
        with pytest.raises(RsirError, match="bands=.*give one band or three"):
            PixelOptions.parse(bands)
    for scale in "5 9,1 nan,1 2%,200%".split():
        with pytest.raises(RsirError, match="give LOW,HIGH"):
            PixelOptions.parse(None, scale)


def test_percentiles_over_a_set(tmp_path):
    values = [np.arange(256, dtype=np.uint16).reshape(16, 16) + 256 * i for i in (0, 1)]
    paths = [tiff(tmp_path / f"{i}.tif", v) for i, v in enumerate(values)]
    paths.append(saved(tmp_path / "eight.png", RGB))
    options = PixelOptions(percentiles=(0, 50))
    with pytest.raises(RsirError, match="scale"):
        open_image(paths[0], options)
    assert options.measured(paths).scale == (0.0, np.percentile(values, 50))
    assert options.measured(paths[2:]) == PixelOptions()


def test_hashes_know_the_options(tmp_path):
    path = saved(tmp_path / "a.png", RGB)
    plain = image_hashes([path])
    assert plain == image_hashes([path], None)
    assert plain != image_hashes([path], PixelOptions(bands=(3, 2, 1)))
