"""The scene kinds: each a function that draws on a stage.

`SCENES` maps a kind's name to its function. The order is part of the
generator's output: append, do not sort.
"""

from toyscenes.scenes import gardens, land, rails, sites, sport, town, water, ways

SCENES = {}
for _module in (sites, water, land, sport, town, gardens, ways, rails):
    SCENES.update(_module.SCENES)

KINDS = tuple(SCENES)
