"""Picture files: find them by name, open them, hash them.

This is the one place that opens a picture. The rules of `open_image`:

* A picture of 8 bits and 1 or 3 bands is taken as it is, turned as
  its EXIF orientation says. Of an animation, the first frame.
* What is transparent becomes black, as outside of an orthophoto. A
  fourth band is transparency only where the file says so (PNG, WebP;
  in a TIFF ExtraSamples 1 or 2). In another TIFF in RGB it is left
  out, such as a near infrared. A TIFF that calls its infrared
  transparency is read with bands=1,2,3.
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
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from rsir.utils.errors import RsirError
from rsir.utils.io import read_bytes

SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".tif",
    ".tiff",
    ".png",
    ".webp",
    ".bmp",
    ".gif",
    ".jp2",
)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_OPENING = threading.Lock()  # warning filters belong to all threads


# ----------------------------------------------------------------------
# Find a file for the name in a listing.


def _plain(name: str) -> str:
    """A name as it is compared: forward slashes, NFC, no ./ or drive."""
    path = unicodedata.normalize("NFC", str(name).strip()).replace("\\", "/")
    if path[1:2] == ":":
        path = path[2:]
    return "/".join(p for p in path.split("/") if p not in ("", "."))


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


class ImageFolder:
    """The files below a folder, to be found by the names of a listing.

    Hidden files and folders are left out.

    Attributes:
        path: the folder.
        images: the picture files below it, by their suffix.

    Raises:
        RsirError: no such folder, or no permission to list it.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.images: list[Path] = []
        self._whole: dict[str, list[Path]] = {}  # relative path
        self._whole_stem: dict[str, list[Path]] = {}
        self._last: dict[str, list[Path]] = {}  # file name alone
        self._last_stem: dict[str, list[Path]] = {}
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
                whole = _plain(here.relative_to(self.path).as_posix())
                self._whole.setdefault(whole, []).append(here)
                if here.suffix.lower() in SUFFIXES:
                    self.images.append(here)
                    last = PurePosixPath(whole).name
                    self._whole_stem.setdefault(_stem(whole), []).append(here)
                    self._last.setdefault(last, []).append(here)
                    self._last_stem.setdefault(_stem(last), []).append(here)

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
        plain = [_plain(n) for n in names]
        with_folder = [p.split("/")[:-1] for p in plain if "/" in p]
        shared = os.path.commonprefix(with_folder) if with_folder else []
        for drop in range(len(shared) + 1):
            tails = ["/".join(p.split("/")[drop:]) if "/" in p else None for p in plain]
            if any(t and self._at(t) for t in tails):
                break
        return [
            self._one(name, self._at(t) if t else self._below(p))
            for name, p, t in zip(names, plain, tails, strict=True)
        ]

    def _at(self, path: str) -> list[Path]:
        """The file of that path, else files of its stem, same folder."""
        return self._whole.get(path) or self._whole_stem.get(_stem(path), [])

    def _below(self, name: str) -> list[Path]:
        """Files that fit a bare name, here or in sub-folders."""
        if name in self._whole:
            return self._whole[name]
        near = self._last.get(name, []) + self._whole_stem.get(_stem(name), [])
        return near or self._last_stem.get(_stem(name), [])

    def _one(self, name: str, found: list[Path]) -> Path | None:
        if len(found) > 1:
            some = ", ".join(str(p.relative_to(self.path)) for p in found[:3])
            raise RsirError(
                f"several files in {self.path} fit the image name {name!r}: "
                f"{some}; keep one of them, or write its folder into the name"
            )
        return found[0] if found else None


# ----------------------------------------------------------------------
# Open a file.


@dataclass(frozen=True)
class PixelOptions:
    """How to read pictures that are not 8 bits in 1 or 3 bands.

    Attributes:
        bands: numbers of the bands to take, from 1: three for red,
            green and blue, or one for grey.
        scale: the values that become 0 and 255. For data of more than
            8 bits only; NaN becomes 0. Pictures of 8 bits stay.
        percentiles: measure `scale` on the pictures, see `measured`.
    """

    bands: tuple[int, ...] | None = None
    scale: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None

    def __post_init__(self):
        put = object.__setattr__
        try:
            if self.bands is not None:
                put(self, "bands", tuple(int(b) for b in self.bands))
            for key in ("scale", "percentiles"):
                if getattr(self, key) is not None:
                    low, high = getattr(self, key)
                    put(self, key, (float(low), float(high)))
        except (TypeError, ValueError):
            raise RsirError(
                f"bands={self.bands}, scale={self.scale}, percentiles="
                f"{self.percentiles}: give numbers, such as bands=(3, 2, 1) "
                "and scale=(0, 4095)"
            ) from None
        if self.bands is not None and (
            len(self.bands) not in (1, 3) or min(self.bands) < 1
        ):
            raise RsirError(
                f"bands={self.bands}: give one band or three, counted from 1, "
                "such as 3,2,1"
            )
        for key in ("scale", "percentiles"):
            value = getattr(self, key)
            if value is not None and not -np.inf < value[0] < value[1] < np.inf:
                raise RsirError(f"{key}={value}: give LOW,HIGH with LOW below HIGH")
        if self.percentiles and not 0 <= self.percentiles[0] < 100 >= max(
            self.percentiles
        ):
            raise RsirError(f"percentiles={self.percentiles} must lie in 0..100")

    @classmethod
    def parse(
        cls, bands: str | None = None, scale: str | None = None
    ) -> PixelOptions | None:
        """From the command line: "3,2,1", and "0,4095" or "2%,98%"."""
        if not bands and not scale:
            return None
        percent = "%" in (scale or "")
        pair = scale.replace("%", "").split(",") if scale else None
        return cls(
            bands.split(",") if bands else None,
            None if percent else pair,
            pair if percent else None,
        )

    def to_dict(self) -> dict[str, list]:
        """What is set, as JSON takes it."""
        return {k: list(v) for k, v in vars(self).items() if v is not None}

    @classmethod
    def from_dict(cls, data: dict | None) -> PixelOptions | None:
        """What `to_dict` gave; None for None."""
        if data is None:
            return None
        unknown = set(data) - {"bands", "scale", "percentiles"}
        if unknown:
            raise RsirError(f"pixel options have no {min(unknown)!r}")
        return cls(**data)

    def measured(self, paths: Sequence[Path], limit: int = 200) -> PixelOptions:
        """The same, with `scale` measured where percentiles are asked.

        One LOW and HIGH for all bands, over up to `limit` pictures of
        more than 8 bits, evenly spaced in the order given.
        """
        if self.percentiles is None:
            return self
        values = []
        for path in paths[:: max(1, len(paths) // limit)]:
            raster = _Raster(path)
            if raster.bits > 8:
                array = raster.chosen(self.bands)
                step = max(1, array.size // 20_000)
                values.append(array.reshape(-1)[::step].astype(np.float64))
        if not values:
            return replace(self, percentiles=None)
        low, high = np.nanpercentile(np.concatenate(values), self.percentiles)
        if not low < high:
            raise RsirError(
                f"percentiles {self.percentiles} of these pictures are {low:g} "
                f"and {high:g}; give the scale as LOW,HIGH"
            )
        return replace(self, scale=(low, high), percentiles=None)


def open_image(
    path: str | os.PathLike, pixels: PixelOptions | None = None
) -> Image.Image:
    """One picture, fully decoded, in mode RGB; rules at the head.

    Raises:
        RsirError: missing, truncated, no picture, too large, or of
            bands or bits that need another `pixels`.
    """
    return _guard(path, lambda: _Raster(path).rgb(pixels or PixelOptions()))


def _guard(path, read: Callable):
    """Run `read`; what the libraries raise becomes one plain error."""
    try:
        return read()
    except RsirError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise RsirError(
            f"image {path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; "
            "cut it into tiles of a few hundred pixels (such as with "
            "gdal_retile.py) and give the folder of the tiles"
        ) from None
    except Image.UnidentifiedImageError:
        raise RsirError(
            f"image {path} is no picture that Pillow can read "
            f"({os.path.getsize(path):,} bytes); fetch it again, or save it as PNG"
        ) from None
    except Exception as error:  # decoders raise nearly anything on damage
        raise RsirError(
            f"image {path} is truncated or damaged "
            f"({' '.join(str(error).split()) or type(error).__name__}); fetch it again"
        ) from None


class _Raster:
    """One file: what bands and bits it has, and its pixels.

    `image` is Pillow's view (None if it has none), `series` that of
    tifffile (None if the file is no TIFF that it knows).
    """

    def __init__(self, path: str | os.PathLike):
        self.path = path
        self.data = read_bytes(Path(path), "image")
        if not self.data:
            raise RsirError(f"image {path} is empty (0 bytes); fetch it again")
        self.series = self._tiff()
        self.image = self._pillow()
        self.turn = 1  # EXIF orientation that is still to be applied
        self.alpha = self.coloured = False
        if self.series is not None:
            self._facts_of_tiff()
            return
        mode = self.image.mode
        self.bands = len(self.image.getbands())
        self.number = "float" if mode == "F" else "integer"
        self.bits = {"F": 32, "I": 32}.get(mode, 16 if ";16" in mode else 8)
        self.alpha = self.image.has_transparency_data
        self.coloured = True
        if self.bits == 8 and self._stored_bits() > 8:
            raise RsirError(
                f"image {path} has {self.bands} bands of {self._stored_bits()} bits, "
                "of which Pillow reads 8 only; save it as TIFF, then read it with "
                "scale=LOW,HIGH"
            )

    def _tiff(self):
        if self.data[:4] not in _TIFF:
            return None
        import tifffile

        logging.getLogger("tifffile").setLevel(logging.CRITICAL)
        try:
            return tifffile.TiffFile(io.BytesIO(self.data)).series[0]
        except Exception:  # damaged: Pillow says so
            return None

    def _pillow(self) -> Image.Image | None:
        try:
            with _OPENING, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                return Image.open(io.BytesIO(self.data))
        except Image.UnidentifiedImageError:
            if self.series is None:
                raise
            return None

    def _facts_of_tiff(self) -> None:
        page, axes = self.series.keyframe, self.series.axes
        limit = Image.MAX_IMAGE_PIXELS
        if limit and page.imagewidth * page.imagelength > limit:
            raise Image.DecompressionBombError
        if len(axes) not in (2, 3) or axes[-1] not in "XS":
            raise RsirError(
                f"image {self.path} is a stack of pictures ({axes}, shape "
                f"{self.series.shape}); save each picture as a file of its own"
            )
        size = dict(zip(axes, self.series.shape, strict=True))
        self.bands = int(np.prod([n for a, n in size.items() if a not in "YX"]))
        self.bits = int(np.max(page.bitspersample))
        self.number = {"f": "float", "c": "complex", "i": "signed"}.get(
            self.series.dtype.kind, "integer"
        )
        if self.number != "integer":
            self.bits = max(16, self.bits)  # never taken as it is
        extra = [int(e) for e in page.extrasamples]
        self.alpha = self.bands in (2, 4) and bool({1, 2} & set(extra))
        self.coloured = int(page.photometric) > 1
        if "S" not in axes and self.bands > 1:
            self.image = None  # bands as pages: Pillow sees the first alone

    def _stored_bits(self) -> int:
        """Bits a band in a PNG or JPEG 2000, which Pillow cuts to 8."""
        if self.data.startswith(b"\x89PNG"):
            return self.data[24]
        at = self.data.find(b"\xff\x4f\xff\x51", 0, 4096)  # JPEG 2000 size
        return (self.data[at + 42] & 127) + 1 if at >= 0 else 8

    def rgb(self, pixels: PixelOptions) -> Image.Image:
        """The picture in mode RGB."""
        grey_or_rgb = self.bands in (1, 3) or self.alpha
        grey_or_rgb |= self.bands == 4 and self.coloured
        lacks = [] if pixels.bands or grey_or_rgb else ["bands"]
        if self.bits > 8 and pixels.scale is None:
            lacks.append("scale")
        if lacks or self.number == "complex":
            self._refuse(lacks, pixels)
        if pixels.bands is None and self.bits <= 8 and self.image is not None:
            return self._ordinary()
        bands = pixels.bands
        if bands is None:
            bands = (1, 2, 3) if self.bands > 2 else (1,)
        array = self.chosen(bands)
        if self.bits > 8:
            low, high = pixels.scale
            unit = (array.astype(np.float64) - low) / (high - low)
            unit = np.clip(np.nan_to_num(unit, nan=0.0), 0, 1)
            array = np.rint(255 * unit).astype(np.uint8)
        image = Image.fromarray(
            np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))
        )
        image.getexif()[0x0112] = self.turn
        return ImageOps.exif_transpose(image)

    def _ordinary(self) -> Image.Image:
        image = self._turned()
        if image.has_transparency_data:
            image = image.convert("RGBA")
            black = Image.new("RGBA", image.size, (0, 0, 0, 255))
            image = Image.alpha_composite(black, image)
        return image.convert("RGB")

    def _turned(self) -> Image.Image:
        self.image.load()
        try:
            return ImageOps.exif_transpose(self.image)
        except Exception:  # EXIF that cannot be read turns nothing
            return self.image

    def chosen(self, bands: tuple[int, ...] | None) -> np.ndarray:
        """The values of some bands (from 1; None: all), [H, W, bands]."""
        array = self._values()
        if bands is None:
            return array
        if max(bands) > array.shape[2]:
            raise RsirError(
                f"image {self.path} has {array.shape[2]} bands, so there is no "
                f"band {max(bands)}; correct bands={','.join(map(str, bands))}"
            )
        return array[..., [b - 1 for b in bands]]

    def _values(self) -> np.ndarray:
        if self.series is None:
            image = self._turned()
            if image.mode in ("P", "CMYK", "YCbCr", "LAB", "HSV", "1"):
                image = image.convert("RGB")
            return np.atleast_3d(np.asarray(image))
        try:
            array = self.series.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            if self.image is None or self.bands > 1:
                raise RsirError(
                    f"image {self.path}: reading {self.bands} bands of {self.bits} "
                    "bits in this compression needs imagecodecs; pip install "
                    "imagecodecs, or save it without compression"
                ) from None
            return np.atleast_3d(np.asarray(self._turned()))
        tag = self.series.keyframe.tags.get(274)
        self.turn = int(tag.value) if tag else 1
        if array.ndim == 3 and self.series.axes[-1] != "S":
            array = np.moveaxis(array, 0, -1)
        return np.atleast_3d(array)

    def _refuse(self, lacks: list[str], pixels: PixelOptions) -> None:
        s = "s" if self.bands != 1 else ""
        what = f"{self.bands} band{s} of {self.bits} bits ({self.number})"
        if self.number == "complex":
            raise RsirError(f"image {self.path} has {what}; save it as real numbers")
        help_for = {
            "bands": "bands=R,G,B such as 3,2,1 (--bands 3,2,1)",
            "scale": "scale=LOW,HIGH, the values that become black and white "
            "(--scale 0,4095)",
        }
        if "scale" in lacks and pixels.percentiles:
            help_for["scale"] = "a scale measured first (PixelOptions.measured)"
        raise RsirError(
            f"image {self.path} has {what}, not 8 bits in grey or RGB; give "
            + " and ".join(help_for[k] for k in lacks)
        )


# ----------------------------------------------------------------------
# Look at many files.


def in_threads(function: Callable, items: Iterable) -> list:
    """[function(item) for item in items], several at a time."""
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        return list(pool.map(function, items))


def unreadable(
    paths: Iterable[Path], pixels: PixelOptions | None = None
) -> list[tuple[Path, str]]:
    """Decode every picture; those that fail, with the reason.

    About 1 ms for a picture of 256 px.
    """

    def look(path):
        try:
            open_image(path, pixels)
        except RsirError as error:
            return path, str(error)
        return None

    return [bad for bad in in_threads(look, paths) if bad]


def image_hashes(images, pixels: PixelOptions | None = None) -> list[str]:
    """sha256 of the bytes of every image file, in order.

    With pixel options these enter too: the same file read in another
    way is another picture.

    Args:
        images: a `Split` (with its own `pixels`), or paths.

    Returns:
        Hexadecimal digests, [n_images].

    Raises:
        RsirError: a file is missing or may not be read.
    """
    pixels = getattr(images, "pixels", None) or pixels
    tail = repr(sorted(pixels.to_dict().items())).encode() if pixels else b""

    def digest(path):
        return hashlib.sha256(read_bytes(path, "image") + tail).hexdigest()

    return in_threads(digest, getattr(images, "images", images))


def content_hash(split) -> str:
    """One sha256 for images, captions and owners, in their order.

    Paths and names do not enter, so a moved folder keeps its hash.
    """
    total = hashlib.sha256(b"rsir split 1\n")
    for digest in image_hashes(split):
        total.update(digest.encode() + b"\n")
    for owner, text in zip(split.owner, split.captions, strict=True):
        body = text.encode("utf-8", "surrogatepass")
        total.update(b"%d %d " % (owner, len(body)) + body)
    return total.hexdigest()
