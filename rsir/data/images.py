"""Image files: find them by stem, open them, hash them.

The authors' archives name `1.tif` where a mirror has `1.jpg`, so an
image is looked up by its exact name first, then by its stem.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rsir.data.split import Split
from rsir.utils.errors import RsirError
from rsir.utils.io import read_bytes

if TYPE_CHECKING:
    from PIL.Image import Image


SUFFIXES = (".jpg", ".jpeg", ".tif", ".tiff", ".png")


class ImageFolder:
    """The image files below a folder, to be found by name.

    Hidden files are left out. Sub-folders count too, so that class
    folders and one flat folder are the same to a reader.

    Raises:
        RsirError: no such folder, or no permission to list it.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._exact: dict[str, list[Path]] = {}
        self._stem: dict[str, list[Path]] = {}
        if not self.path.is_dir():
            raise RsirError(f"image folder not found: {self.path}")

        def refuse(error: OSError):
            raise RsirError(
                f"cannot list the image folder {error.filename}: "
                f"{error.strerror}; check its permissions (chmod u+rx)"
            ) from None

        for folder, below, files in os.walk(self.path, onerror=refuse):
            below[:] = sorted(b for b in below if not b.startswith("."))
            for name in sorted(files):
                stem, suffix = os.path.splitext(name)
                if name[0] == "." or suffix.lower() not in SUFFIXES:
                    continue
                here = Path(folder, name)
                whole = here.relative_to(self.path).as_posix()
                for key in {name, whole}:
                    self._exact.setdefault(key, []).append(here)
                for key in {stem, whole[: -len(suffix)]}:
                    self._stem.setdefault(key, []).append(here)

    def __len__(self) -> int:
        return len({p for found in self._stem.values() for p in found})

    def find(self, name: str) -> Path | None:
        """The file for the name of an annotation, None if missing.

        Order: the name as it stands, its last part, then both again
        without the suffix.

        Raises:
            RsirError: several files fit equally well.
        """
        pure = PurePosixPath(name.replace("\\", "/"))
        whole, last = pure.as_posix(), pure.name
        suffix = pure.suffix if pure.suffix.lower() in SUFFIXES else ""
        cut = -len(suffix) or None
        for table, key in (
            (self._exact, whole),
            (self._exact, last),
            (self._stem, whole[:cut]),
            (self._stem, last[:cut]),
        ):
            found = table.get(key)
            if not found:
                continue
            if len(found) > 1:
                some = ", ".join(str(p.relative_to(self.path)) for p in found[:3])
                raise RsirError(
                    f"several files in {self.path} fit the image name "
                    f"{name!r}: {some}; keep one of them"
                )
            return found[0]
        return None


def open_image(path: str | os.PathLike) -> Image:
    """Read one picture as RGB, whole, or say what is wrong with it.

    Returns:
        A PIL image in mode RGB, fully decoded.

    Raises:
        RsirError: missing, truncated, no image, or no permission.
    """
    import io

    from PIL import Image

    path = Path(path)
    data = read_bytes(path, "image")
    if not data:
        raise RsirError(f"image {path} is empty (0 bytes); fetch it again")
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except Image.UnidentifiedImageError:
        raise RsirError(
            f"image {path} is no picture that Pillow can read "
            f"({len(data):,} bytes); fetch it again"
        ) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise RsirError(
            f"image {path} is truncated or damaged ({error}); fetch it again"
        ) from None
    except Image.DecompressionBombError as error:
        raise RsirError(f"image {path} is too large: {error}") from None


def _threads(function, items: Sequence) -> list:
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        return list(pool.map(function, items))


def unreadable(paths: Iterable[Path]) -> list[tuple[Path, str]]:
    """Decode every picture; those that fail, with the reason.

    About 1 ms for a picture of 256 px.
    """

    def look(path):
        try:
            open_image(path)
        except RsirError as error:
            return path, str(error)
        return None

    return [bad for bad in _threads(look, list(paths)) if bad]


def image_hashes(images: Split | Sequence[Path]) -> list[str]:
    """sha256 of the bytes of every image file, in order.

    Args:
        images: a split, or paths.

    Returns:
        Hexadecimal digests, [n_images].

    Raises:
        RsirError: a file is missing or may not be read.
    """
    paths = images.images if isinstance(images, Split) else images

    def digest(path):
        return hashlib.sha256(read_bytes(path, "image")).hexdigest()

    return _threads(digest, list(paths))


def content_hash(split: Split) -> str:
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
