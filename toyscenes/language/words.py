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
    # things that are counted
    "plane": _noun(
        "plane/planes, airplane/airplanes, aircraft/aircraft",
        "parked, parked, standing, ",
    ),
    "terminal": _noun(
        "terminal/terminals, terminal building/terminal buildings", _STAND
    ),
    "tank": _noun(
        "storage tank/storage tanks, round tank/round tanks, oil tank/oil tanks",
        ", standing, built",
    ),
    "shed": _noun("shed/sheds, small building/small buildings", _STAND),
    "panel field": _noun(
        "solar array/solar arrays, block of solar panels/blocks of solar panels",
        ", installed",
    ),
    "boat": _noun("boat/boats, vessel/vessels", ", floating, lying"),
    "pier": _noun("pier/piers, jetty/jetties", ", built"),
    "building": _noun("building/buildings", _STAND),
    "house": _noun("house/houses, home/homes", _STAND),
    "farmhouse": _noun("farmhouse/farmhouses, farm building/farm buildings", _STAND),
    "bridge": _noun("bridge/bridges"),
    "car": _noun("car/cars, vehicle/vehicles"),
    "lake": _noun("lake/lakes", ", lying"),
    "pond": _noun("pond/ponds", ", lying"),
    "umbrella": _noun("umbrella/umbrellas, sunshade/sunshades", ", set up"),
    "circular field": _noun("circular field/circular fields, round field/round fields"),
    "clearing": _noun("clearing/clearings, open patch/open patches"),
    "tree": _noun("tree/trees", _GROW),
    "stadium": _noun("stadium/stadiums, arena/arenas", ", located"),
    "tennis court": _noun("tennis court/tennis courts", ", laid out"),
    "basketball court": _noun("basketball court/basketball courts", ", laid out"),
    "baseball field": _noun(
        "baseball field/baseball fields, baseball diamond/baseball diamonds",
        ", laid out",
    ),
    "running track": _noun("running track/running tracks, track/tracks", ", laid out"),
    "bunker": _noun("sand bunker/sand bunkers, sand trap/sand traps"),
    "green": _noun("putting green/putting greens"),
    "church": _noun("church/churches", _STAND),
    "fountain": _noun("fountain/fountains", ", built"),
    "monument": _noun("monument/monuments, column/columns", ", standing"),
    "lawn": _noun("lawn/lawns, round lawn/round lawns", ", laid out"),
    "pool": _noun("swimming pool/swimming pools, pool/pools", ", built"),
    "hotel": _noun("hotel block/hotel blocks, hotel building/hotel buildings", _STAND),
    "pavilion": _noun("pavilion/pavilions, hut/huts", _STAND),
    "roundabout": _noun("roundabout/roundabouts, traffic circle/traffic circles"),
    "overpass": _noun("overpass/overpasses, flyover/flyovers"),
    "viaduct": _noun("viaduct/viaducts, tall bridge/tall bridges"),
    "train": _noun("train/trains", "stopped, standing, "),
    "station": _noun(
        "station hall/station halls, station building/station buildings", _STAND
    ),
    "factory": _noun("factory hall/factory halls, warehouse/warehouses", _STAND),
    "lorry": _noun("truck/trucks, lorry/lorries", ", parked"),
    "chimney": _noun("chimney/chimneys, tall chimney/tall chimneys", ", standing"),
    # roads, waters, plots: one of each, not boxed
    "runway": _noun("runway/runways, airstrip/airstrips"),
    "apron": _noun("apron/aprons, concrete apron/concrete aprons"),
    "road": _noun("road/roads, paved road/paved roads, street/streets"),
    "roads": _noun("/roads, /streets"),
    "highway": _noun("highway/highways, motorway/motorways"),
    "ramps": _noun("/ramps, /slip roads"),
    "dirt road": _noun("dirt road/dirt roads, dirt track/dirt tracks"),
    "path": _noun("path/paths, footpath/footpaths"),
    "paths": _noun("/paths, /footpaths"),
    "crosswalks": _noun("/crosswalks, /zebra crossings"),
    "intersection": _noun("intersection/intersections, junction/junctions"),
    "parking lot": _noun("parking lot/parking lots, car park/car parks"),
    "rails": _noun("/railway tracks, /rails"),
    "platforms": _noun("/platforms, /long platforms"),
    "harbor": _noun("harbor/harbors, marina/marinas"),
    "quay": _noun("quay/quays, waterfront/waterfronts"),
    "river": _noun("river/rivers"),
    "stream": _noun("stream/streams, creek/creeks"),
    "sea": _noun("the sea/, the ocean/"),
    "waves": _noun("/waves, /white waves"),
    "beach": _noun("beach/beaches, sandy beach/sandy beaches"),
    "valley": _noun("valley/valleys"),
    "forest": _noun("forest/forests, wood/woods"),
    "meadow": _noun("meadow/meadows"),
    "farmland": _noun("farmland/"),
    "plots": _noun("/plots of farmland, /fields, /crop fields"),
    "desert": _noun("desert/deserts"),
    "dunes": _noun("/dunes, /sand dunes"),
    "mountains": _noun("/mountains, /mountain slopes"),
    "ridges": _noun("/ridges, /sharp ridges"),
    "park": _noun("park/parks"),
    "square": _noun("square/squares, plaza/plazas"),
    "residential area": _noun(
        "residential area/residential areas, neighborhood/neighborhoods"
    ),
    "industrial area": _noun("industrial area/industrial areas"),
    "pitch": _noun("football pitch/football pitches, playing field/playing fields"),
    "football field": _noun("football field/football fields"),
    "infield": _noun("infield/infields, clay infield/clay infields"),
    "fairway": _noun("fairway/fairways"),
    "seats": _noun("/seats, /stands"),
    "roofs": _noun("/roofs, /canopies"),
    "tower": _noun("tower/towers"),
    "dome": _noun("dome/domes"),
    # stuff
    "ground": _noun("the ground/"),
    "land": _noun("the land/, the ground/"),
    "distance": _noun("the distance/"),
    "water": _noun("water/"),
    "grass": _noun("green grass/, grass/, grassland/"),
    "dry grass": _noun("dry grass/, yellowish grass/"),
    "bare soil": _noun("bare soil/, bare ground/, bare land/"),
    "red soil": _noun("reddish soil/, red soil/"),
    "sand": _noun("sand/, sandy ground/"),
    "paved": _noun("paved ground/, pavement/"),
    "concrete": _noun("concrete/, concrete ground/"),
    "asphalt": _noun("asphalt/"),
    "rock": _noun("bare rock/, rock/"),
    "snow": _noun("snow/, white snow/"),
    "plants": _noun("/green plants, /shrubs"),
    "bushes": _noun("/small bushes, /scattered bushes", ", growing"),
    "trees": _noun("/trees", _GROW),
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
    "in_middle": ("in the middle of", "at the center of"),
}

# relation: verbs, singular and plural
VERBS = {
    "across": (
        ("crosses", "cross"),
        ("runs across", "run across"),
        ("cuts through", "cut through"),
        ("passes through", "pass through"),
    ),
    "surrounded": (
        ("is surrounded by", "are surrounded by"),
        ("is enclosed by", "are enclosed by"),
        ("is encircled by", "are encircled by"),
    ),
    "over": (("crosses", "cross"), ("spans", "span"), ("passes over", "pass over")),
    "along_run": (
        ("runs along", "run along"),
        ("passes beside", "pass beside"),
        ("runs beside", "run beside"),
    ),
    "flow": (
        ("flows through", "flow through"),
        ("winds through", "wind through"),
        ("runs through", "run through"),
    ),
    "cover": (("covers", "cover"), ("spreads over", "spread over")),
    "covered": (
        ("is covered with", "are covered with"),
        ("is covered by", "are covered by"),
    ),
    "divide": (("divides", "divide"), ("separates", "separate"), ("splits", "split")),
    "have": (("has", "have"),),
    "lead": (("leads to", "lead to"), ("meets at", "meet at")),
    "reach": (("reaches into", "reach into"), ("stretches into", "stretch into")),
    "both_sides": (
        ("lies on both sides of", "lie on both sides of"),
        ("borders", "border"),
    ),
    "loop": (("runs around", "run around"), ("loops around", "loop around")),
    "break": (("breaks on", "break on"), ("rolls onto", "roll onto")),
    "form": (("forms", "form"), ("makes up", "make up")),
    "over_part": (
        ("covers part of", "cover part of"),
        ("shelters part of", "shelter part of"),
    ),
    "meet": (("meets at", "meet at"), ("comes together at", "come together at")),
    "stretch": (("stretches into", "stretch into"),),
}

NUMBERS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)

PLACES = {
    "upper left": (
        "in the upper left corner",
        "in the upper left part",
        "at the upper left",
    ),
    "upper right": (
        "in the upper right corner",
        "in the upper right part",
        "at the upper right",
    ),
    "lower left": (
        "in the lower left corner",
        "in the lower left part",
        "at the lower left",
    ),
    "lower right": (
        "in the lower right corner",
        "in the lower right part",
        "at the lower right",
    ),
    "left": ("on the left", "on the left side", "at the left"),
    "right": ("on the right", "on the right side", "at the right"),
    "top": ("at the top", "in the upper part"),
    "bottom": ("at the bottom", "in the lower part"),
    "middle": ("in the middle", "in the center", "at the center"),
}

SIZES = {
    "large": ("large", "big"),
    "small": ("small",),
    "long": ("long",),
    "wide": ("wide", "broad"),
    "narrow": ("narrow", "thin"),
    "huge": ("huge", "very large"),
}

# what a picture as a whole is, so that it is no part of itself
SETTINGS = {
    "ground",
    "land",
    "distance",
    "farmland",
    "desert",
    "meadow",
    "forest",
    "park",
    "square",
    "harbor",
    "parking lot",
    "industrial area",
    "residential area",
    "mountains",
}

PICTURE = ("picture", "image", "scene", "view")


def article(text):
    """`text` with "a" or "an" before it."""
    sound = text[:1] in "aeiou" and not text.startswith(
        ("uni", "use", "usa", "u-", "one", "eu")
    )
    return ("an " if sound else "a ") + text
