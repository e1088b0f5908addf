"""How a picture is drawn: ground, strokes, plants, things, light."""
