"""The words: nouns, what they do, and relations between them."""

from typing import NamedTuple


class Noun(NamedTuple):
    """A noun with its synonyms.

    Attributes:
        forms: pairs of singular and plural; the first is the keyword.
            A plural of "" marks stuff, which takes no article. A
            singular of "" marks a noun used in the plural alone.
        poses: participles that suit it ("parked"); "" means none.
        proper_colour: whether to say its colour often.
    """

    forms: tuple
    poses: tuple = ("",)


def _noun(text, poses=""):
    """`"plane/planes, airplane/airplanes"` as a `Noun`."""
    forms = []
    for pair in text.split(","):
        one, _, many = pair.strip().partition("/")
        forms.append((one.strip(), many.strip()))
    return Noun(tuple(forms), tuple(p.strip() for p in poses.split(",")))


_STAND = ", located, standing"
_GROW = ", growing, planted"

NOUNS = {
    # counted
    "plane": _noun("plane/planes, airplane/airplanes, aircraft/aircraft",
                   "parked, parked, standing, "),
    "terminal": _noun("terminal/terminals, "
                      "terminal building/terminal buildings", _STAND),
    "tank": _noun("storage tank/storage tanks, round tank/round tanks, "
                  "oil tank/oil tanks", ", standing, built"),
    "shed": _noun("shed/sheds, small building/small buildings", _STAND),
    "panel field": _noun(
        "solar array/solar arrays, "
        "block of solar panels/blocks of solar panels", ", installed"),
    # stuff and backdrops
    "runway": _noun("runway/runways, airstrip/airstrips"),
    "apron": _noun("apron/aprons, concrete apron/concrete aprons"),
    "road": _noun("road/roads, paved road/paved roads, street/streets"),
    "dirt road": _noun("dirt road/dirt roads, dirt track/dirt tracks"),
    "grass": _noun("green grass/, grass/, grassland/"),
    "dry grass": _noun("dry grass/, yellowish grass/"),
    "bare soil": _noun("bare soil/, bare ground/, bare land/"),
    "sand": _noun("sand/, sandy ground/"),
    "paved": _noun("paved ground/, pavement/"),
    "concrete": _noun("concrete/, concrete ground/"),
    "trees": _noun("/trees, /green trees", _GROW),
}

# relation: prepositions after "is/are" (with a pose of the first noun)
PREPOSITIONS = {
    "beside": ("beside", "next to", "near", "close to", "by"),
    "on": ("on",),
    "in": ("in", "inside", "within"),
    "along": ("along", "alongside"),
    "between": ("between",),
    "among": ("among", "amid"),
    "around": ("around",),
}

# relation: verbs, singular and plural
VERBS = {
    "across": (("crosses", "cross"), ("runs across", "run across"),
               ("cuts through", "cut through"),
               ("passes through", "pass through")),
    "surrounded": (("is surrounded by", "are surrounded by"),
                   ("is enclosed by", "are enclosed by"),
                   ("is encircled by", "are encircled by")),
    "over": (("crosses", "cross"), ("spans", "span"),
             ("stretches over", "stretch over")),
    "along_run": (("runs along", "run along"),
                  ("passes beside", "pass beside"),
                  ("runs beside", "run beside")),
    "flow": (("flows through", "flow through"),
             ("winds through", "wind through"),
             ("runs through", "run through")),
    "cover": (("covers", "cover"), ("spreads over", "spread over")),
    "divide": (("divides", "divide"), ("separates", "separate"),
               ("splits", "split")),
    "have": (("has", "have"),),
    "lead": (("leads to", "lead to"),),
}

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven",
           "eight", "nine", "ten", "eleven", "twelve")

PLACES = {
    "upper left": ("in the upper left corner", "in the upper left part",
                   "at the upper left"),
    "upper right": ("in the upper right corner",
                    "in the upper right part", "at the upper right"),
    "lower left": ("in the lower left corner", "in the lower left part",
                   "at the lower left"),
    "lower right": ("in the lower right corner",
                    "in the lower right part", "at the lower right"),
    "left": ("on the left", "on the left side", "at the left"),
    "right": ("on the right", "on the right side", "at the right"),
    "top": ("at the top", "in the upper part"),
    "bottom": ("at the bottom", "in the lower part"),
    "middle": ("in the middle", "in the center", "at the center"),
}

SIZES = {"large": ("large", "big"), "small": ("small",),
         "long": ("long",), "wide": ("wide", "broad"),
         "narrow": ("narrow", "thin"), "huge": ("huge", "very large")}

PICTURE = ("picture", "image", "scene", "view")


def article(text):
    """`text` with "a" or "an" before it."""
    sound = text[:1] in "aeiou" and not text.startswith(
        ("uni", "use", "usa", "u-", "one", "eu"))
    return ("an " if sound else "a ") + text
