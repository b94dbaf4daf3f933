"""Photos of cases: what of a file is kept, what is refused, who sees it, and that it goes with its machine."""

import io
import zipfile
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from foretwin.errors import BadInput
from foretwin.twin.cases.photo_encoding import MOST_PHOTOS, SIDE, WANTED, encode_anew
from foretwin.twin.data_export import export_asset
from foretwin.twin.store.summaries import case_photos
from support.live_project import PUMP, assert_problem, live, living_project, message, score
from support.pictures import picture
from support.stored_readings import count

pytestmark = pytest.mark.dated


def turned_with_place() -> bytes:
    """A picture that says that it lies on its side, and where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    exif[0x010F] = "SecretPhone"
    exif.get_ifd(0x8825)[1] = "N"
    return picture(exif=exif)


def test_only_the_picture_is_kept_upright_and_no_larger_than_a_screen():
    kept = encode_anew(turned_with_place())
    shown = Image.open(io.BytesIO(kept.content))
    assert (shown.format, shown.size) == ("JPEG", (480, 640))
    assert not shown.getexif()
    assert b"SecretPhone" not in kept.content
    assert shown.getpixel((240, 100))[0] > 200, "what was left is above"
    wide = encode_anew(picture((4000, 1000), "PNG"))
    assert (wide.width, wide.height) == (SIDE, 400)
    clear = Image.open(io.BytesIO(encode_anew(picture(kind="WEBP", mode="RGBA")).content))
    assert clear.mode == "RGB"
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (1600, 1600, 3), np.uint8))
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=95)
    assert len(encode_anew(out.getvalue()).content) < 2 * WANTED, "the quality falls where a picture is large"


@pytest.mark.parametrize(
    "made",
    [
        lambda: b"",
        lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        lambda: picture(kind="GIF"),
        lambda: picture()[:400],
        lambda: picture(kind="PNG")[:80],
        lambda: picture((20_000, 10_000), "PNG", "L"),
    ],
    ids=["nothing", "drawing", "other", "cut", "cut-png", "bomb"],
)
def test_what_is_no_picture_of_a_phone_is_refused_in_a_sentence(made):
    with pytest.raises(BadInput) as refused:
        encode_anew(made())
    assert refused.value.field == "photo"


def test_a_photo_is_seen_counted_exported_and_erased_with_its_machine(store, tmp_path):
    root = living_project(tmp_path / "project")
    with live(store, root) as client:
        for name in ("P-1", "P-2"):
            client.post(f"/v1/twins/{name}/readings?twin=pump", json=message(count=4)).raise_for_status()
        score(store, root)
        jpeg, png = {"content-type": "image/jpeg"}, {"content-type": "image/png"}
        kept = client.post("/v1/cases/1/photos", content=picture(), headers=jpeg).raise_for_status().json()
        (shown,) = client.get("/v1/cases/1/photos").json()["items"]
        assert shown == kept
        answer = client.get(f"/v1/cases/1/photos/{kept['id']}")
        assert (answer.headers["content-type"], len(answer.content)) == ("image/jpeg", kept["bytes"])
        assert_problem(client.get(f"/v1/cases/2/photos/{kept['id']}"), 404, "photo")
        assert_problem(client.post("/v1/cases/1/photos", content=b"no", headers=png), 422, "photo")
        assert_problem(client.post("/v1/cases/9/photos", content=picture(), headers=jpeg), 404, "case")
        small = picture((8, 8))
        for _ in range(MOST_PHOTOS - 1):
            client.post("/v1/cases/1/photos", content=small, headers=jpeg).raise_for_status()
        assert_problem(client.post("/v1/cases/1/photos", content=small, headers=jpeg), 409, "photo")
        client.post("/v1/cases/2/photos", content=small, headers=jpeg).raise_for_status()
        out = export_asset(store, root, {"pump": PUMP}, "P-1", tmp_path / "P-1.zip", datetime.now(UTC))
        with zipfile.ZipFile(out) as archive:
            assert archive.read(f"photos/case-1-{kept['id']}.jpg") == answer.content
            assert sum(name.startswith("photos/") for name in archive.namelist()) == MOST_PHOTOS
        assert count(store, case_photos) == MOST_PHOTOS + 1
        client.delete("/v1/twins/P-1").raise_for_status()
        assert count(store, case_photos) == 1
