"""What the data sets are, and where users really get them.

Facts only: names, sizes, licences, sources, hashes. Counts and hashes
were taken from the caption files that AMFMN and GaLR ship. Nobody has
published checksums of the image archives.

Chapter: notebooks/01_data_and_protocol.ipynb.
"""

from __future__ import annotations

from dataclasses import dataclass

from rsir.utils.errors import RsirError


@dataclass(frozen=True)
class Source:
    """One place to get a data set from.

    Attributes:
        kind: "hub" (parquet files of a Hugging Face data set), "https"
            (archives), "drive" (Google Drive ids, needs gdown) or
            "manual" (steps for a person).
        title: what the place is.
        files: ((file name, URL or Drive id), ...); for "hub" the id
            of the data set in place of a URL.
        revision: pinned revision of a hub set; None: the one that is
            resolved at the first download is recorded and kept.
        sha256: digests in the order of `files`, where known.
        bytes: size of the download, 0 if not known.
        complete: whether it brings the official lists and all images.
        steps: for "manual", or as help when the others fail.
    """

    kind: str
    title: str
    files: tuple[tuple[str, str], ...] = ()
    revision: str | None = None
    sha256: tuple[str | None, ...] = ()
    bytes: int = 0
    complete: bool = True
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One data set.

    Attributes:
        name, title: short and full name.
        licence: what the owners state, or that they state nothing.
        folders: names its folder goes by below a data root.
        annotations: names of its JSON.
        image_folders: names of its image folder.
        images, captions: counts of the whole.
        splits: images in train, val, test; val None where the files
            have none and it is cut from train.
        pixels: width and height of an image.
        sources: places to get it, best first.
        hashes: known sha256 of caption files, (key, digest), the
            key being `<split>_<caps|filename>`: of the files that
            AMFMN and GaLR ship; for UCM of the same form written
            from the authors' JSON.
        known: (counts of train, val, test; what split that is), ...
    """

    name: str
    title: str
    licence: str
    folders: tuple[str, ...]
    annotations: tuple[str, ...]
    image_folders: tuple[str, ...]
    images: int
    captions: int
    splits: tuple[int, int | None, int]
    pixels: str
    sources: tuple[Source, ...]
    hashes: tuple[tuple[str, str], ...] = ()
    known: tuple[tuple[tuple[int, int, int], str], ...] = ()
    note: str = ""


_S3 = "https://opendatasharing.s3.us-west-2.amazonaws.com/SkyScript/benchmark/"
_NONE = "none stated by the owners; do not redistribute"
_PARTIAL = "SkyScript benchmark archive (test pairs, a table of its own)"

RSICD = Entry(
    name="rsicd",
    title="RSICD (Lu et al., TGRS 2018)",
    licence=_NONE + " (images: Google Earth, Baidu Map, MapABC, Tianditu)",
    folders=("rsicd", "RSICD", "RSICD_optimal", "rsicd_precomp"),
    annotations=("dataset_rsicd.json", "dataset_RSICD.json"),
    image_folders=("RSICD_images", "rsicd_images", "images", "imgs"),
    images=10_921,
    captions=54_605,
    splits=(8_734, 1_094, 1_093),
    pixels="224x224",
    sources=(
        Source(
            "hub",
            "Hugging Face data set, parquet with images",
            (("parquet", "arampacha/rsicd"),),
            bytes=526_000_288,
        ),
        Source(
            "drive",
            "Google Drive: the authors' JSON and images",
            (
                ("dataset_rsicd.json", "1q8EcBWuCbvtTnMILE60WOhd9S0C4rsfT"),
                ("RSICD_images.rar", "0B1jt7lJDEXy3SmZEdDd0aWpXcWc"),
            ),
        ),
        Source(
            "https",
            _PARTIAL,
            (("RSICD.zip", _S3 + "RSICD.zip"),),
            complete=False,
        ),
        Source(
            "manual",
            "MEGA or Baidu",
            steps=(
                "open github.com/201528014227051/RSICD_optimal and follow "
                "its MEGA link (folder EOpjTAwL#LWdHVjKAJbd3NbLsCvzDGA) or "
                "Baidu 1lH5m047P9m2IvoZMPsoDsQ (password NIST)",
                "unpack the images into {folder}/RSICD_images/",
                "put dataset_rsicd.json into {folder}/",
                "run: rsir data verify rsicd",
            ),
        ),
    ),
    hashes=(
        (
            "test_caps",
            "6c454afb21934c8fc75077d4d2695057a74c531d177c542e8bc9bd051990ed37",
        ),
        (
            "test_filename",
            "d6e0279f45797226f452f017c7ac055a291c4115c05b14606be78be6f2867102",
        ),
        (
            "train_caps",
            "dfaee64764a29af37f50c2bf5a8a7d28ec37045e4870e063ac315bfe68b32215",
        ),
        (
            "train_filename",
            "07ba36e2a4286f88e94a0765dd7288c133ed810ae22b216a75a18e729bb944f7",
        ),
    ),
    known=(
        ((8_734, 1_094, 1_093), "the official counts"),
        (
            (7_862, 1_966, 1_093),
            "80/20 cut of train, as AMFMN, GaLR, PIR, SWAN, HarMA count",
        ),
    ),
    note="AMFMN's printed numbers fit a test set of 1,094 images; the "
    "list its authors ship has 1,093.",
)

RSITMD = Entry(
    name="rsitmd",
    title="RSITMD (Yuan et al., TGRS 2021)",
    licence=_NONE,
    folders=("rsitmd", "RSITMD", "rsitmd_precomp"),
    annotations=("dataset_RSITMD.json", "dataset_rsitmd.json"),
    image_folders=("images", "RSITMD_images", "rsitmd_images", "imgs"),
    images=4_743,
    captions=23_715,
    splits=(4_291, None, 452),
    pixels="256x256",
    sources=(
        Source(
            "drive",
            "Google Drive: the authors' archive",
            (("RSITMD.zip", "1NJY86TAAUd8BVs7hyteImv8I2_Lh95W6"),),
        ),
        Source(
            "https",
            _PARTIAL,
            (("RSITMD.zip", _S3 + "RSITMD.zip"),),
            complete=False,
        ),
        Source(
            "manual",
            "Google Drive in a browser, or Baidu",
            steps=(
                "open drive.google.com/file/d/"
                "1NJY86TAAUd8BVs7hyteImv8I2_Lh95W6 or Baidu "
                "1gDj38mzUL-LmQX32PYxr0Q (password NIST)",
                "unpack, so that {folder}/images/ and "
                "{folder}/dataset_RSITMD.json exist",
                "run: rsir data verify rsitmd",
            ),
        ),
    ),
    hashes=(
        (
            "test_caps",
            "c3e72a13ecafcbae0913edd2e9de87e8e77acad97b5635f3ba2f56a628b83c0f",
        ),
        (
            "test_filename",
            "183cbcd9d9a49fb92cd7aca3fe6bd411705ea3f590ac1dd572ace29c52b045bd",
        ),
        (
            "train_caps",
            "e303a2794afc7414b233823951238ab520419c2ac076472637d4c4f122fada1d",
        ),
        (
            "train_filename",
            "e0ab67beacc1b751679b18adc6ce15bd73cc70c30de13b29cb319834c9200886",
        ),
    ),
    known=(((3_435, 856, 452), "80/20 cut of train, as PIR, SWAN, HarMA count"),),
    note="The caption files shipped with AMFMN and GaLR have twenty "
    "blank captions in four images.",
)

UCM = Entry(
    name="ucm",
    title="UCM-Captions (Qu et al., CITS 2016)",
    licence="images: USGS, public domain; captions: none stated",
    folders=("ucm", "UCM", "UCM_captions", "UCM-captions", "UCMD", "ucm_precomp"),
    annotations=("dataset.json", "dataset_ucm.json", "dataset_ucmd.json"),
    image_folders=("imgs", "UCM_imgs", "images", "Images"),
    images=2_100,
    captions=10_500,
    splits=(1_680, 210, 210),
    pixels="about 256x256",
    sources=(
        Source(
            "drive",
            "Google Drive: the authors' archive",
            (("UCM_captions.zip", "1WNAQgdgghz0cz4rV_KmTNyNGF_m8cNkt"),),
        ),
        Source(
            "https",
            _PARTIAL,
            (("ucmcaptions.zip", _S3 + "ucmcaptions.zip"),),
            complete=False,
        ),
        Source(
            "manual",
            "MEGA or Baidu",
            steps=(
                "open MEGA folder wCpSzSoS#RXzIlrv--TDt3ENZdKN8JA or Baidu 1mjPToHq",
                "unpack imgs.rar into {folder}/imgs/ and put dataset.json "
                "into {folder}/",
                "the pictures alone, named by class, are at "
                "weegee.vision.ucmerced.edu/datasets/UCMerced_LandUse.zip",
                "run: rsir data verify ucm",
            ),
        ),
    ),
    hashes=(
        (
            "test_caps",
            "b896d49fe5544fcec3b24d556793e51e1b0c0b46fa5595bd77965b2a494a32c1",
        ),
        (
            "test_filename",
            "84552a920cef691291cfdedfb7912828d52c160154eb519d412a726d8165169f",
        ),
    ),
    known=(
        ((1_680, 210, 210), "the authors' JSON, 8:1:1"),
        (
            (1_480, 210, 110),
            "the JGDN repository; its 210-image file "
            "has the size of the usual test set",
        ),
    ),
)

SYDNEY = Entry(
    name="sydney",
    title="Sydney-Captions (Qu et al., CITS 2016)",
    licence=_NONE,
    folders=(
        "sydney",
        "Sydney",
        "Sydney_captions",
        "Sydney-captions",
        "sydney_precomp",
    ),
    annotations=("dataset.json", "dataset_sydney.json"),
    image_folders=("imgs", "images", "Sydney_imgs"),
    images=613,
    captions=3_065,
    splits=(497, 58, 58),
    pixels="500x500",
    sources=(
        Source(
            "drive",
            "Google Drive: the authors' archive",
            (("Sydney_captions.zip", "1zAA8qG8FZLCj2t4t9JPgNS48sA2iltaU"),),
        ),
        Source(
            "manual",
            "MEGA, Baidu, or the hub",
            steps=(
                "open MEGA folder pG4yTYYA#4c4buNFLibryZnlujsrwEQ, Baidu "
                "1hujEmcG, or huggingface.co/datasets/isaaccorley/"
                "Sydney-Captions (355 MB zip)",
                "unpack, so that {folder}/imgs/ and {folder}/dataset.json exist",
                "run: rsir data verify sydney",
            ),
        ),
    ),
    known=(
        ((497, 58, 58), "the authors' JSON, about 8:1:1"),
        (
            (497, 58, 28),
            "the JGDN repository; its 58-image file has "
            "the size that AMFMN's numbers imply",
        ),
    ),
)

CATALOG: dict[str, Entry] = {e.name: e for e in (UCM, RSICD, RSITMD, SYDNEY)}

UCM_CLASSES = (
    "agricultural",
    "airplane",
    "baseballdiamond",
    "beach",
    "buildings",
    "chaparral",
    "denseresidential",
    "forest",
    "freeway",
    "golfcourse",
    "harbor",
    "intersection",
    "mediumresidential",
    "mobilehomepark",
    "overpass",
    "parkinglot",
    "river",
    "runway",
    "sparseresidential",
    "storagetanks",
    "tenniscourt",
)


def entry(name: str) -> Entry:
    """The catalogue entry of a data set.

    Raises:
        RsirError: unknown name; the message lists the names.
    """
    if name == "toy":
        raise RsirError(
            "the toy scenes are drawn by rsir itself; there is nothing "
            "to fetch or verify: load_dataset('toy')"
        )
    if name not in CATALOG:
        raise RsirError(f"unknown data set {name!r}; there are {', '.join(CATALOG)}")
    return CATALOG[name]


def scene_of(name: str, image_id: str) -> str:
    """The scene kind that an image's name tells, else "".

    RSICD and RSITMD name most images `<kind>_<number>`; 921 names of
    RSICD are numbers only. UCM-Captions numbers its images through
    the 21 classes of UC Merced, 100 each, in alphabetical order.
    """
    stem = image_id.replace("\\", "/").rsplit("/", 1)[-1]
    stem = stem.rsplit(".", 1)[0]
    if name == "ucm":
        if stem.isdecimal() and 1 <= int(stem) <= 2_100:
            return UCM_CLASSES[(int(stem) - 1) // 100]
        return ""
    kind, _, number = stem.rpartition("_")
    return kind if number.isdecimal() else ""
