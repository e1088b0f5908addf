"""The scene kinds: each a function that draws on a `Scenery`.

`SCENES` maps a kind's name to its function. The order is part of the
generator's output: append, do not sort.
"""

from toyscenes.scenes import gardens, land, rails, sites, sport, town, water, ways

_BY_THEME = (
    (sites, "airport, storage tanks, solar farm, industrial area"),
    (water, "harbor, bridge, river, lake, beach"),
    (land, "farmland, circular fields, forest, meadow, desert, mountain"),
    (sport, "stadium, tennis court, basketball court, baseball field"),
    (sport, "playground, golf course"),
    (town, "dense residential, sparse residential, church, resort"),
    (gardens, "square, park"),
    (ways, "parking lot, intersection, roundabout, overpass"),
    (rails, "viaduct, railway station"),
)
SCENES = {
    kind: getattr(theme, kind.replace(" ", "_"))
    for theme, kinds in _BY_THEME
    for kind in kinds.split(", ")
}
KINDS = tuple(SCENES)
