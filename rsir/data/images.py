"""Picture files: find them by name, open them, hash them.

This is the one place that opens a picture. The rules of `open_image`:

* A picture of 8 bits and 1 or 3 bands is taken as it is, turned as
  its EXIF orientation says. Of an animation, the first frame.
* What is transparent becomes black, as outside of an orthophoto. A
  fourth band is transparency only where the file says so (PNG, WebP;
  in a TIFF ExtraSamples 1 or 2). In another TIFF in RGB, and in JPEG
  2000, it is left out, such as a near infrared. A TIFF that calls its
  infrared transparency is read with bands=1,2,3.
* Everything else needs `PixelOptions`, and the error says which.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import threading
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from rsir.utils.errors import RsirError
from rsir.utils.io import read_bytes

SUFFIXES = tuple(".jpg .jpeg .tif .tiff .png .webp .bmp .gif .jp2".split())
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_OPENING = threading.Lock()  # warning filters belong to all threads
_ORIENTATION = 0x0112
_TOO_LARGE = (Image.DecompressionBombWarning, Image.DecompressionBombError)


def _plain(name: str) -> str:
    """A name as it is compared: NFC, forward slashes, no drive, no ./"""
    path = unicodedata.normalize("NFC", name.strip()).replace("\\", "/")
    path = path[2:] if path[1:2] == ":" else path
    return "/".join(p for p in path.split("/") if p not in ("", "."))


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


class ImageFolder:
    """The files below a folder, to be found by the names of a listing.

    `images` are the picture files, by their suffix. Hidden files and
    folders are left out.

    Raises:
        RsirError: no such folder, or no permission to list it.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.images: list[Path] = []
        self._at: dict[tuple[str, str], list[Path]] = defaultdict(list)
        if not self.path.is_dir():
            raise RsirError(f"image folder not found: {self.path}")

        def refuse(error: OSError):
            raise RsirError(
                f"cannot list the image folder {error.filename}: "
                f"{error.strerror}; check its permissions (chmod u+rx)"
            ) from None

        for folder, below, files in os.walk(self.path, onerror=refuse):
            below[:] = sorted(b for b in below if not b.startswith("."))
            for file in sorted(f for f in files if not f.startswith(".")):
                here = Path(folder, file)
                path = _plain(here.relative_to(self.path).as_posix())
                self._at["path", path].append(here)
                if here.suffix.lower() in SUFFIXES:
                    self.images.append(here)
                    last = path.rsplit("/", 1)[-1]
                    self._at["path stem", _stem(path)].append(here)
                    self._at["name", last].append(here)
                    self._at["name stem", _stem(last)].append(here)

    def find_all(self, names: Sequence[str]) -> list[Path | None]:
        """The file of each name, None where it is missing.

        A full relative path wins. Else the suffix may differ within
        the name's own folder (a JSON says 1.tif, the file is 1.jpg).
        A bare name may lie in a sub-folder, if one file alone fits. If
        no name with a folder is found, leading folders that all names
        share are dropped, as few as possible: paths of another machine.

        Raises:
            RsirError: several files fit a name.
        """

        def get(kind: str, name: str) -> list[Path]:
            return self._at.get((kind, name), [])

        def at(path: str) -> list[Path]:
            return get("path", path) or get("path stem", _stem(path))

        plain = [_plain(n) for n in names]
        folders = [p.split("/")[:-1] for p in plain if "/" in p]
        files: list[list[Path]] = []
        for drop in range(len(os.path.commonprefix(folders)) + 1):
            files = [at(p.split("/", drop)[-1]) if "/" in p else [] for p in plain]
            if any(files):
                break
        for i, name in enumerate(plain):
            if "/" not in name:
                near = get("name", name) + get("path stem", _stem(name))
                files[i] = get("path", name) or near or get("name stem", _stem(name))
            if len(files[i]) > 1:
                some = ", ".join(str(p.relative_to(self.path)) for p in files[i][:3])
                raise RsirError(
                    f"several files in {self.path} fit the image name {names[i]!r}: "
                    f"{some}; keep one of them, or write its folder into the name"
                )
        return [found[0] if found else None for found in files]


@dataclass(frozen=True)
class PixelOptions:
    """How to read pictures that are not 8 bits in 1 or 3 bands.

    Attributes:
        bands: numbers of the bands to take, from 1: three, or one for grey.
        scale: the values that become 0 and 255, of data of more than 8
            bits; NaN becomes 0.
        percentiles: measure `scale` on the pictures, see `measured`.
    """

    bands: tuple[int, ...] | None = None
    scale: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None

    def __post_init__(self):
        for key, given in list(vars(self).items()):
            if given is None:
                continue
            try:
                value = tuple(map(int if key == "bands" else float, given))
            except (TypeError, ValueError):
                value = ()
            if key == "bands":
                good = len(value) in (1, 3) and min(value) >= 1
                want = "one band or three, counted from 1, such as 3,2,1"
            else:
                good = len(value) == 2 and -np.inf < value[0] < value[1] < np.inf
                good &= key == "scale" or (value[0] >= 0 and value[1] <= 100)
                want = "LOW,HIGH with LOW below HIGH, such as 0,4095 or 2%,98%"
            if not good:
                raise RsirError(f"{key}={given}: give {want}")
            object.__setattr__(self, key, value)

    @classmethod
    def parse(cls, bands: str | None = None, scale: str | None = None) -> PixelOptions:
        """From the command line: "3,2,1", and "0,4095" or "2%,98%"."""
        pair = scale.replace("%", "").split(",") if scale else None
        key = "percentiles" if "%" in (scale or "") else "scale"
        return cls(bands=bands.split(",") if bands else None, **{key: pair})

    def to_dict(self) -> dict[str, list]:
        """What is set, as JSON takes it."""
        return {k: list(v) for k, v in vars(self).items() if v is not None}

    @classmethod
    def from_dict(cls, data: dict | None) -> PixelOptions | None:
        """What `to_dict` gave; None for None."""
        return data if data is None else cls(**data)

    def measured(self, paths: Sequence[Path], limit: int = 200) -> PixelOptions:
        """The same, with `scale` measured where percentiles are asked.

        One LOW and HIGH for all bands, over up to `limit` pictures of
        more than 8 bits, evenly spaced in the order given.
        """
        if self.percentiles is None:
            return self

        def sample(raster: _Raster):
            values = raster.values(self.bands).ravel() if raster.bits > 8 else []
            return values[:: max(1, len(values) // 20_000)]

        some = paths[:: max(1, len(paths) // limit)]
        values = np.concatenate([_reading(path, sample) for path in some])
        values = values[np.isfinite(values)].astype(float)
        if not values.size:
            return replace(self, percentiles=None)
        scale = tuple(np.percentile(values, self.percentiles).tolist())
        return replace(self, scale=scale, percentiles=None)


def open_image(
    path: str | os.PathLike, pixels: PixelOptions | None = None
) -> Image.Image:
    """One picture, fully decoded, in mode RGB; rules at the head.

    Raises:
        RsirError: missing, truncated, no picture, too large, or of
            bands or bits that need another `pixels`.
    """
    return _reading(path, lambda raster: raster.rgb(pixels or PixelOptions()))


def _reading(path: str | os.PathLike, use: Callable):
    """`use` of a picture; what the decoders raise becomes one plain error."""
    data = read_bytes(Path(path), "image")
    if not data:
        raise RsirError(f"image {path} is empty (0 bytes); fetch it again")
    try:
        return use(_Raster(path, data))
    except RsirError:
        raise
    except Exception as error:  # decoders raise nearly anything on damage
        why = " ".join(str(error).split()) or type(error).__name__
        cause = f"is truncated or damaged ({why}); fetch it again"
        if isinstance(error, Image.UnidentifiedImageError):
            cause = f"is no picture that Pillow can read ({len(data):,} bytes); "
            cause += "fetch it again, or save it as PNG"
        if isinstance(error, _TOO_LARGE):
            cause = f"has more than {Image.MAX_IMAGE_PIXELS:,} pixels; cut it into "
            cause += "tiles of a few hundred pixels (such as with gdal_retile.py) "
            cause += "and give the folder of the tiles"
        raise RsirError(f"image {path} {cause}") from None


class _Raster:
    """One file: what bands and bits it has, and its pixels.

    `bits`: integers with a sign and floats count as more than 8; `plain`:
    grey or RGB, with transparency or without; `series`: tifffile's view of
    a TIFF; `image`: Pillow's view, where Pillow reads all of the file.
    """

    def __init__(self, path: str | os.PathLike, data: bytes):
        self.path, self.series, self.image = path, None, None
        if data[:4] in _TIFF:
            self._read_tiff(data)
        if self.series is None:
            self._read_other(data)

    def _read_tiff(self, data: bytes) -> None:
        import tifffile

        logging.getLogger("tifffile").setLevel(logging.CRITICAL)
        try:
            self.series = series = tifffile.TiffFile(io.BytesIO(data)).series[0]
        except Exception:  # damaged: Pillow says in what way
            return
        page, axes = series.keyframe, series.axes
        if page.imagewidth * page.imagelength > (Image.MAX_IMAGE_PIXELS or np.inf):
            raise Image.DecompressionBombError
        if len(axes) > 3 or axes[-1] not in "XS" or series.dtype.kind not in "buif":
            raise RsirError(
                f"image {self.path} is a stack or not of real numbers (shape "
                f"{series.shape}, {series.dtype}); save each picture as a file"
            )
        self.bands = series.size // (page.imagewidth * page.imagelength)
        self.bits = int(np.max(page.bitspersample))
        if series.dtype.kind in "if":
            self.bits = max(16, self.bits)
        alpha = bool({1, 2} & {int(e) for e in page.extrasamples})
        in_colour = int(page.photometric) > 1
        self.plain = (
            self.bands in (1, 3)
            or (self.bands == 2 and alpha)
            or (self.bands == 4 and (alpha or in_colour))
        )
        one_page = "S" in axes or self.bands == 1  # Pillow sees the first page alone
        if self.plain and one_page and (self.bits <= 8 or self.bands == 1):
            with suppress(Image.UnidentifiedImageError):  # left to tifffile
                image = _pillow(data)
                # of three planes that are not RGB, Pillow sees the first alone
                if len(image.getbands()) == self.bands or image.mode == "RGB":
                    self.image = image

    def _read_other(self, data: bytes) -> None:
        self.image = _pillow(data)
        mode, stored, self.plain = self.image.mode, 8, True
        own = mode in ("L", "LA", "RGBA") or mode[0] in "IF"
        self.bands = len(self.image.getbands()) if own else 3
        self.bits = 16 if ";16" in mode else 32 if mode in "IF" else 8
        if data.startswith(b"\x89PNG"):
            stored = data[24]
        elif (at := data.find(b"\xff\x4f\xff\x51", 0, 4096)) >= 0:  # JPEG 2000
            stored = (data[at + 42] & 127) + 1
        if stored > 8 and self.bits == 8:
            raise RsirError(
                f"image {self.path} has {self.bands} bands of {stored} bits, of "
                "which Pillow reads 8; save it as TIFF and give scale=LOW,HIGH"
            )

    def rgb(self, pixels: PixelOptions) -> Image.Image:
        """The picture in mode RGB."""
        lacks = []
        if not (self.plain or pixels.bands):
            lacks.append("bands=R,G,B such as 3,2,1 (--bands 3,2,1)")
        if self.bits > 8 and not pixels.scale:
            lacks.append("scale=LOW,HIGH, the values of black and white (--scale)")
        if lacks:
            raise RsirError(
                f"image {self.path} has {self.bands} band(s) of {self.bits} bits, "
                f"not 8 bits in grey or RGB; give {' and '.join(lacks)}"
            )
        if self.bits <= 8 and self.image and not pixels.bands:
            image = self._turned()
            if image.has_transparency_data and self.image.format != "JPEG2000":
                black = Image.new("RGBA", image.size, (0, 0, 0, 255))
                image = Image.alpha_composite(black, image.convert("RGBA"))
            return image.convert("RGB")
        array = self.values(pixels.bands or ((1, 2, 3) if self.bands > 2 else (1,)))
        if self.bits > 8:
            low, high = pixels.scale
            unit = np.nan_to_num((array.astype(float) - low) / (high - low))
            array = np.rint(255 * unit.clip(0, 1)).astype(np.uint8)
        return Image.fromarray(np.repeat(array, 3 // array.shape[2], axis=2))

    def _turned(self) -> Image.Image:
        self.image.load()
        try:
            return ImageOps.exif_transpose(self.image)
        except Exception:  # EXIF that cannot be read turns nothing
            return self.image

    def values(self, bands: tuple[int, ...] | None) -> np.ndarray:
        """The numbers of some bands (from 1; None: all), [H, W, bands]."""
        if bands is not None and max(bands) > self.bands:
            raise RsirError(
                f"image {self.path} has {self.bands} band(s), so there is no "
                f"band {max(bands)}; correct bands={','.join(map(str, bands))}"
            )
        array = self._tiff_values() if self.series is not None else None
        if array is None:
            image = self._turned()
            if self.bits <= 8 and image.mode not in ("L", "LA", "RGB", "RGBA"):
                image = image.convert("RGB")
            array = np.asarray(image)
        array = np.atleast_3d(array)
        return array if bands is None else array[..., [b - 1 for b in bands]]

    def _tiff_values(self) -> np.ndarray | None:
        try:
            array = self.series.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            if self.image and len(self.image.getbands()) == self.bands:
                return None  # Pillow knows this compression
            raise RsirError(
                f"image {self.path}: {self.bands} band(s) of {self.bits} bits in "
                "this compression need imagecodecs; pip install imagecodecs, or "
                "save the picture without compression"
            ) from None
        if array.ndim == 3 and self.series.axes[-1] != "S":
            array = np.moveaxis(array, 0, -1)
        tag = self.series.keyframe.tags.get(_ORIENTATION)
        turn = int(tag.value) if tag else 1  # as EXIF counts
        if turn in (5, 6, 7, 8):
            array = array.swapaxes(0, 1)
        down = -1 if turn in (3, 4, 7, 8) else 1
        right = -1 if turn in (2, 3, 6, 7) else 1
        return array[::down, ::right]


def _pillow(data: bytes) -> Image.Image:
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data))


def in_threads(function: Callable, items: Iterable) -> list:
    """[function(item) for item in items], several at a time."""
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        return list(pool.map(function, items))


def unreadable(
    paths: Iterable[Path], pixels: PixelOptions | None = None
) -> list[tuple[Path, str]]:
    """Decode every picture (about 1 ms each); those that fail, with the reason."""

    def look(path):
        try:
            open_image(path, pixels)
        except RsirError as error:
            return path, str(error)
        return None

    return [bad for bad in in_threads(look, paths) if bad]


def image_hashes(images, pixels: PixelOptions | None = None) -> list[str]:
    """sha256 of the bytes of every image file, [n_images] hexadecimal.

    `images` is a `Split` (with its own `pixels`), or paths. Pixel options
    enter where set: a file read in another way is another picture.

    Raises:
        RsirError: a file is missing or may not be read.
    """
    pixels = getattr(images, "pixels", pixels)
    tail = repr(sorted(pixels.to_dict().items())).encode() if pixels else b""

    def digest(path):
        return hashlib.sha256(read_bytes(path, "image") + tail).hexdigest()

    return in_threads(digest, getattr(images, "images", images))


def content_hash(split) -> str:
    """One sha256 for images, captions and owners, in their order.

    Paths and names do not enter, so a moved folder keeps its hash.
    """
    digests = "".join(f"{digest}\n" for digest in image_hashes(split))
    return hash_of_captions(split, f"rsir split 1\n{digests}")


def hash_of_captions(split, head: str) -> str:
    """sha256 of a head, then captions and owners in their order."""
    total = hashlib.sha256(head.encode())
    for owner, text in zip(split.owner, split.captions, strict=True):
        body = text.encode("utf-8", "surrogatepass")
        total.update(b"%d %d " % (owner, len(body)) + body)
    return total.hexdigest()
