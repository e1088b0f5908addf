"""What each kind of scene is called, and sentences true of all of it.

The general sentences are shared by many pictures, as in the real data
sets; the `duplicates` knob says how often they are used.
"""

from typing import NamedTuple


class Kind(NamedTuple):
    """Names of a scene kind and sentences that always hold.

    Attributes:
        names: singular nouns for the scene.
        at: the preposition that goes with it ("at an airport").
        general: sentences without a full stop.
    """

    names: tuple
    at: str
    general: tuple


KIND_WORDS = {
    "airport": Kind(("airport", "airfield"), "at", (
        "an airport with a runway and an apron",
        "a runway and a terminal can be seen at the airport",
        "this is part of an airport",
        "aircraft stand on the apron of an airfield",
        "an airfield seen from high above",
    )),
    "storage tanks": Kind(("tank farm", "storage site", "tank yard"),
                          "at", (
        "round storage tanks stand inside a low wall",
        "a storage site with round tanks beside a road",
        "this is a tank farm seen from above",
        "a place where liquids are stored in round tanks",
        "round tanks on an enclosed plot",
    )),
    "solar farm": Kind(("solar farm", "solar power plant",
                        "photovoltaic station"), "at", (
        "rows of solar panels cover the ground",
        "a solar power plant with panels in straight rows",
        "solar panels are arranged in parallel lines",
        "this is a solar farm in open country",
        "panels of a solar farm seen from above",
    )),
}
