"""The code on a printed service request that leads a phone to the machine's page."""

import segno
from markupsafe import Markup

from foretwin.twin.console.visits import Visit, page_url


def machine_code(visit: Visit, asset: str) -> Markup:
    """Return a QR code, as SVG, of the address of a machine's page as the browser has it; nothing for a long name."""
    url = visit.request.url
    address = f"{url.scheme}://{url.netloc}{page_url('/machines', asset)}"
    try:
        code = segno.make_qr(address, error="m")
    except segno.DataOverflowError:
        return Markup()
    told = visit.words.text("The machine's page: {address}", address=address)
    return Markup(code.svg_inline(scale=3, border=4, title=told, svgclass="code", lineclass=None, omitsize=False))  # noqa: S704 - segno escapes the title
