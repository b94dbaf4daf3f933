"""Photos that people take of what they found: encoded anew, so that nothing but the picture is kept.

The only importer of Pillow: a phone's photo tells where and by whom it was taken, and a file that calls itself a
picture may be anything. What is kept is a JPEG that we wrote, upright, no larger than a screen shows.
"""

import io
import warnings
from datetime import datetime
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from foretwin.errors import BadInput, Conflict
from foretwin.twin.store import Store
from foretwin.twin.store.casework import audit, cases, photos
from foretwin.twin.store.casework.photos import Jpeg

TYPES = ("image/jpeg", "image/png", "image/webp")
FORMATS = tuple(kind.removeprefix("image/").upper() for kind in TYPES)
LARGEST = 16 * 1024 * 1024  # bytes of what is sent
MOST_PIXELS = 60_000_000  # of what is sent: more than phones take
SIDE = 1600  # pixels of the longer side that is kept
WANTED = 500_000  # bytes that are kept, for which the quality is lowered
QUALITIES = (82, 70, 55, 40)
MOST_PHOTOS = 20  # of a case


def add_photo(store: Store, case_id: int, body: bytes, actor: str, now: datetime) -> dict[str, Any]:
    """Keep a photo of a case, closed ones too; NotFound, BadInput for no picture, Conflict where there are many."""
    picture = encode_anew(body)
    with store.write() as connection:
        case = cases.find_case(connection, case_id)
        if photos.count_photos(connection, case_id) >= MOST_PHOTOS:
            raise Conflict("photo", f"case {case_id} has {MOST_PHOTOS} photos, the most that one may have")
        kept = photos.insert_photo(connection, case, picture, actor, now)
        entry = {"fault": case.fault, "photo": kept["id"]}
        audit.record(connection, actor, "case.photographed", entry, now, asset=case.asset, case=case.id)
        return kept


def encode_anew(body: bytes) -> Jpeg:
    """Return the picture as a JPEG of ours, upright and without anything that its file told besides; BadInput."""
    if len(body) > LARGEST:
        raise BadInput("photo", f"has {len(body)} bytes, more than the {LARGEST} that one may have; send a smaller one")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken EXIF, which is dropped anyway
            return _encode(Image.open(io.BytesIO(body), formats=FORMATS))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        told = f"is no picture that can be read ({str(error)[:80] or type(error).__name__})"
        raise BadInput("photo", f"{told}; JPEG, PNG and WebP are taken") from None


def _encode(sent: Image.Image) -> Jpeg:
    if sent.width * sent.height > MOST_PIXELS:
        raise BadInput(
            "photo", f"has {sent.width} x {sent.height} pixels, more than {MOST_PIXELS:,}; send a smaller one"
        )
    sent.draft("RGB", (SIDE, SIDE))  # a large JPEG is not read in its full size
    upright = ImageOps.exif_transpose(sent)
    upright.thumbnail((SIDE, SIDE))
    plain = upright.convert("RGBA")
    shown = Image.new("RGB", plain.size, "white")
    shown.paste(plain, mask=plain.getchannel("A"))
    for quality in QUALITIES:
        out = io.BytesIO()
        shown.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= WANTED:
            break
    return Jpeg(out.getvalue(), *shown.size)
