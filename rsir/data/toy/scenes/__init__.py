"""The scene kinds: each a function that draws on a stage.

`SCENES` maps a kind's name to its function. The order is part of the
generator's output: append, do not sort.
"""

from rsir.data.toy.scenes import air, land, sport, water

SCENES = {}
for _module in (air, water, land, sport):
    SCENES.update(_module.SCENES)

KINDS = tuple(SCENES)
