"""Stored figures in 256 colours where they are large.

A figure full of toy scenes is a photograph to PNG. With a palette it
takes a third; rare small colours move a little.
"""

import base64
import io

from PIL import Image, PngImagePlugin

LARGE = 100_000  # bytes


def smaller(encoded: str) -> str:
    """The picture again, base64 as before; small ones are not touched."""
    data = base64.b64decode(encoded)
    if len(data) <= LARGE:
        return encoded
    with Image.open(io.BytesIO(data)) as picture:
        if picture.mode == "P":
            return encoded
        said, out = PngImagePlugin.PngInfo(), io.BytesIO()
        for name, text in picture.text.items():
            said.add_text(name, text)
        how = {"optimize": True, "pnginfo": said, "dpi": picture.info.get("dpi")}
        picture.convert("RGB").quantize(256).save(out, "PNG", **how)
    if out.tell() >= len(data):
        return encoded
    return base64.b64encode(out.getvalue()).decode()
