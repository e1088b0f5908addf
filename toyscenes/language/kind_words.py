"""What each kind of scene is called, and sentences true of all of it.

The general sentences are shared by many pictures, as in the real data
sets; the `duplicates` knob says how often they are used.
"""

from typing import NamedTuple


class Kind(NamedTuple):
    """Names of a scene kind and sentences that always hold."""

    names: tuple  # singular nouns for the scene
    at: str  # the preposition that goes with it ("at an airport")
    general: tuple  # sentences without a full stop


# kind | preposition | names, then five sentences
_TABLE = """
airport | at | airport, airfield
    an airport with a runway and an apron
    a runway and a terminal can be seen at the airport
    this is part of an airport
    aircraft stand on the apron of an airfield
    an airfield seen from high above
storage tanks | at | tank farm, storage site, tank yard
    round storage tanks stand inside a low wall
    a storage site with round tanks beside a road
    this is a tank farm seen from above
    a place where liquids are stored in round tanks
    round tanks on an enclosed plot
solar farm | at | solar farm, solar power plant, photovoltaic station
    rows of solar panels cover the ground
    a solar power plant with panels in straight rows
    solar panels are arranged in parallel lines
    this is a solar farm in open country
    panels of a solar farm seen from above
industrial area | in | industrial area, industrial estate, factory district
    large halls of an industrial area
    factory halls stand side by side
    this is an industrial area with long roofs
    warehouses and yards in a factory district
    an industrial estate with roads between its halls
harbor | in | harbor, marina
    boats are moored in a harbor
    a marina with boats along its piers
    this is a small harbor beside a road
    boats lie at the piers of a marina
    a harbor with calm water and a quay
bridge | at | river crossing, bridge site
    a bridge leads over a river
    a river is crossed by a bridge
    this is a bridge with a river under it
    a road runs over the water on a bridge
    the two banks are joined by a bridge
river | in | river landscape, river valley
    a river runs through open country
    this is a river seen from above
    the water of a river between its banks
    a river passes from one edge to another
    a stretch of river and its banks
lake | in | lake landscape, lake area
    a lake lies in open country
    this is a lake seen from above
    still water with land all around it
    a body of water inside the land
    a lake and the land around it
beach | at | beach, coast, seaside
    waves roll onto a sandy beach
    this is a beach by the sea
    a beach between the water and the land
    white foam lies along the shore
    the sea meets the sand here
farmland | in | piece of farmland, farming area
    fields of different crops side by side
    this is a piece of farmland
    rows of crops run across the plots
    the land is cut into many plots
    farmland seen from high above
circular fields | in | irrigated farming area, piece of farmland
    round fields watered by a turning arm
    this is farmland with round fields
    circles of crops on dry land
    fields in the shape of circles
    a sprinkler arm turns on each round field
forest | in | forest, woodland
    a forest seen from above
    this is a piece of forest
    the land is covered with trees
    many trees grow here
    tree crowns of a forest side by side
meadow | in | meadow, piece of grassland
    a meadow seen from above
    this is open grassland
    there is a lot of grass here
    grass grows on open land
    a wide meadow with little on it
desert | in | desert, dry plain
    a desert seen from above
    this is a dry and empty land
    nothing but dry land far and wide
    the land is dry and nearly bare
    a desert with hardly any life
mountain | in | mountain range, mountain landscape
    mountains seen from above
    this is a mountain range
    ridges and valleys of a mountain range
    steep slopes lie in light and shade
    the mountains are folded into ridges
stadium | in | stadium, sports arena
    a stadium seen from above
    this is a stadium with a green pitch
    stands rise around a playing field
    a sports arena and its stands
    a large stadium beside a road
tennis court | at | tennis club, tennis ground, sports ground
    this is a tennis ground beside a road
    tennis is played here
    white lines mark a place for tennis
    a place to play tennis seen from above
    a tennis ground with nets and white lines
basketball court | at | basketball ground, sports ground
    this is a basketball ground beside a road
    basketball is played here
    white lines mark a place for basketball
    a place to play basketball seen from above
    a basketball ground with white lines
baseball field | at | baseball ground, ball park
    this is a place for baseball
    baseball is played on this grass
    a baseball ground seen from above
    clay and grass of a baseball ground
    bases and white lines on a ball park
playground | at | sports field, school ground, playground
    a running track around a football field
    this is a playground with a running track
    a sports field beside some buildings
    lanes of a track around a pitch
    a school ground with a running track
golf course | on | golf course
    a golf course seen from above
    this is part of a golf course
    fairways and trees of a golf course
    short grass between trees on a golf course
    golf is played on these fairways
dense residential | in | dense residential area, housing estate, neighborhood
    many houses stand close together
    this is a dense residential area
    rows of houses along the streets
    a neighborhood with little space between houses
    streets and roofs of a housing estate
sparse residential | in | sparse residential area, rural neighborhood
    this is a sparse residential area
    there is much space around the houses here
    a home in the countryside beside a road
    living among grass and trees
    a quiet place with few houses
church | in | churchyard, old quarter
    a church seen from above
    this is a church and its yard
    a church stands out among other buildings
    the roof of a church has the shape of a cross
    a church with trees near it
square | on | town square, plaza
    a square with streets on all sides
    this is a town square
    roads lead around an open square
    flower beds and trees on a plaza
    an open place in the middle of a town
resort | in | resort, holiday resort
    a resort with water to swim in
    this is a holiday resort
    hotel blocks stand around a pool area
    a place for holidays seen from above
    guests can swim beside their hotel
park | in | park, public garden
    a park with trees and paths
    this is a park seen from above
    paths wind through a park
    trees and lawns in a public garden
    a green park where people can walk
parking lot | in | parking lot, car park
    this is a parking lot seen from above
    bays of a parking lot marked with lines
    cars are parked on asphalt
    a car park with marked bays
    asphalt and bays of a large car park
intersection | at | road junction, street crossing
    roads meet at an intersection
    this is an intersection with crosswalks
    traffic passes through a road junction
    streets come together here
    white stripes at a street crossing
roundabout | at | circular junction, road junction
    roads meet at a roundabout
    this is a roundabout seen from above
    traffic goes around in a circle
    a ring of road with a round island
    a round junction with several arms
overpass | at | highway junction, interchange
    one road passes over another
    this is an overpass with much traffic
    two highways cross on different levels
    a highway junction with curved ramps
    cars drive above and below each other
viaduct | at | valley crossing, bridge landscape
    a viaduct seen from above
    this is a high bridge with a long shadow
    a viaduct throws its shadow on the land
    a tall bridge leads over low land
    a long bridge high above the ground
railway station | at | railway station, train station
    trains stop at the platforms of a station
    this is a railway station
    tracks run side by side through a station
    a railway station with several platforms
    rails and platforms seen from above
"""


def _kinds():
    lines = _TABLE.strip().splitlines()
    for k in range(0, len(lines), 6):
        kind, at, names = lines[k].split(" | ")
        general = tuple(line.strip() for line in lines[k + 1 : k + 6])
        yield kind, Kind(tuple(names.split(", ")), at, general)


KIND_WORDS = dict(_kinds())
