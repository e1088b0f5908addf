"""The words: nouns, what they do, and relations between them.

The tables are text, an entry a line.
"""

from typing import NamedTuple


class Noun(NamedTuple):
    """A noun with its synonyms.

    Forms are pairs of singular and plural; the first is the keyword. A plural
    of "" marks stuff, which takes no article; a singular of "" a noun used in
    the plural alone.
    """

    forms: tuple
    poses: tuple  # participles that suit it ("parked"); "" means none


def _entries(table):
    """The lines `key: text` of a table, as pairs."""
    return (line.split(": ", 1) for line in table.strip().splitlines())


def _list(text):
    return [item.strip() for item in text.split(",")]


def _noun(text):
    """`forms | poses`; a form without "/" takes an s in the plural."""
    forms, _, poses = text.partition(" | ")
    pairs = [f if "/" in f else f"{f}/{f}s" for f in _list(forms)]
    return Noun(
        tuple(tuple(p.split("/")) for p in pairs),
        tuple("" if p == "-" else p for p in _list(poses or "-")),
    )


# counted things first, then what there is one of, then stuff
_NOUNS = """
plane: plane, airplane, aircraft/aircraft | parked, parked, standing, -
terminal: terminal, terminal building | -, located, standing
tank: storage tank, round tank, oil tank | -, standing, built
shed: shed, small building | -, located, standing
panel field: solar array, block of solar panels/blocks of solar panels | -, installed
boat: boat, vessel | -, floating, lying
pier: pier, jetty/jetties | -, built
building: building | -, located, standing
house: house, home | -, located, standing
farmhouse: farmhouse, farm building | -, located, standing
bridge: bridge
car: car, vehicle
lake: lake | -, lying
pond: pond | -, lying
umbrella: umbrella, sunshade | -, set up
circular field: circular field, round field
clearing: clearing, open patch/open patches
tree: tree | -, growing, planted
stadium: stadium, arena | -, located
tennis court: tennis court | -, laid out
basketball court: basketball court | -, laid out
baseball field: baseball field, baseball diamond | -, laid out
running track: running track, track | -, laid out
bunker: sand bunker, sand trap
green: putting green
church: church/churches | -, located, standing
fountain: fountain | -, built
monument: monument, column | -, standing
lawn: lawn, round lawn | -, laid out
pool: swimming pool, pool | -, built
hotel: hotel block, hotel building | -, located, standing
pavilion: pavilion, hut | -, located, standing
roundabout: roundabout, traffic circle
overpass: overpass/overpasses, flyover
viaduct: viaduct, tall bridge
train: train | stopped, standing, -
station: station hall, station building | -, located, standing
factory: factory hall, warehouse | -, located, standing
lorry: truck, lorry/lorries | -, parked
chimney: chimney, tall chimney | -, standing
runway: runway, airstrip
apron: apron, concrete apron
road: road, paved road, street
roads: /roads, /streets
highway: highway, motorway
ramps: /ramps, /slip roads
dirt road: dirt road, dirt track
path: path, footpath
paths: /paths, /footpaths
crosswalks: /crosswalks, /zebra crossings
intersection: intersection, junction
parking lot: parking lot, car park
rails: /railway tracks, /rails
platforms: /platforms, /long platforms
harbor: harbor, marina
quay: quay, waterfront
river: river
stream: stream, creek
sea: the sea/, the ocean/
waves: /waves, /white waves
beach: beach/beaches, sandy beach/sandy beaches
valley: valley
forest: forest, wood
meadow: meadow
farmland: farmland/
plots: /plots of farmland, /fields, /crop fields
desert: desert
dunes: /dunes, /sand dunes
mountains: /mountains, /mountain slopes
ridges: /ridges, /sharp ridges
park: park
square: square, plaza
residential area: residential area, neighborhood
industrial area: industrial area
pitch: football pitch/football pitches, playing field
football field: football field
infield: infield, clay infield
fairway: fairway
seats: /seats, /stands
roofs: /roofs, /canopies
tower: tower
dome: dome
ground: the ground/
land: the land/, the ground/
distance: the distance/
water: water/
grass: green grass/, grass/, grassland/
dry grass: dry grass/, yellowish grass/
bare soil: bare soil/, bare ground/, bare land/
red soil: reddish soil/, red soil/
sand: sand/, sandy ground/
paved: paved ground/, pavement/
concrete: concrete/, concrete ground/
asphalt: asphalt/
rock: bare rock/, rock/
snow: snow/, white snow/
plants: /green plants, /shrubs
bushes: /small bushes, /scattered bushes | -, growing
trees: /trees | -, growing, planted
"""
NOUNS = {key: _noun(text) for key, text in _entries(_NOUNS)}

# relation: prepositions after "is/are" (with a pose of the first noun)
_PREPOSITIONS = """
beside: beside, next to, near, close to, by
on: on
in: in, inside, within
along: along, alongside
between: between
among: among, amid
around: around
in_middle: in the middle of, at the center of
"""
PREPOSITIONS = {key: tuple(_list(text)) for key, text in _entries(_PREPOSITIONS)}

# relation: verbs in the singular
_VERBS = """
across: crosses, runs across, cuts through, passes through
surrounded: is surrounded by, is enclosed by, is encircled by
over: crosses, spans, passes over
along_run: runs along, passes beside, runs beside
flow: flows through, winds through, runs through
cover: covers, spreads over
covered: is covered with, is covered by
divide: divides, separates, splits
have: has
lead: leads to, meets at
reach: reaches into, stretches into
both_sides: lies on both sides of, borders
loop: runs around, loops around
break: breaks on, rolls onto
form: forms, makes up
over_part: covers part of, shelters part of
meet: meets at, comes together at
stretch: stretches into
"""


def _plural(verb):
    """`runs along` becomes `run along`."""
    first, *rest = verb.split(" ")
    bare = first[:-2] if first.endswith(("sses", "ches")) else first[:-1]
    return " ".join([{"is": "are", "has": "have"}.get(first, bare), *rest])


# relation: pairs of singular and plural
VERBS = {
    key: tuple((verb, _plural(verb)) for verb in _list(text))
    for key, text in _entries(_VERBS)
}

NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()

PLACES = {
    f"{down} {across}": (
        f"in the {down} {across} corner",
        f"in the {down} {across} part",
        f"at the {down} {across}",
    )
    for down in ("upper", "lower")
    for across in ("left", "right")
}
PLACES |= {
    "left": ("on the left", "on the left side", "at the left"),
    "right": ("on the right", "on the right side", "at the right"),
    "top": ("at the top", "in the upper part"),
    "bottom": ("at the bottom", "in the lower part"),
    "middle": ("in the middle", "in the center", "at the center"),
}

SIZES = {
    "large": ("large", "big"),
    "small": ("small",),
    "wide": ("wide", "broad"),
    "narrow": ("narrow", "thin"),
}

# what a picture as a whole is, so that it is no part of itself
SETTINGS = set(
    _list(
        "ground, land, distance, farmland, desert, meadow, forest, park, square, "
        "harbor, parking lot, industrial area, residential area, mountains"
    )
)

PICTURE = ("picture", "image", "scene", "view")


def article(text):
    """`text` with "a" or "an" before it."""
    return ("an " if text[0] in "aeiou" else "a ") + text
