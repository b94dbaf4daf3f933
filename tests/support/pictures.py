"""Pictures as phones send them."""

import io

from PIL import Image


def picture(size=(640, 480), kind="JPEG", mode="RGB", **options) -> bytes:
    """A left half in red, the right one in blue."""
    image = Image.new(mode, size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()
