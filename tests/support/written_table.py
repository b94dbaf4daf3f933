"""A table written as its owner might: in any notation, with the fields of the contract that describe it."""

import bz2
import csv
import gzip
import io
import lzma
import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from foretwin.contract.twin import Twin
from foretwin.sources import table

CHANNELS = {"force": "Kraft", "heat": "Öl °C"}
FORMS = {
    "iso": "%Y-%m-%dT%H:%M:%S",
    "day_first": "%d.%m.%Y %H:%M:%S",
    "month_first": "%m/%d/%Y %I:%M:%S %p",
    "%y%m%d-%H%M%S": "%y%m%d-%H%M%S",
}
EPOCHS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@dataclass(frozen=True)
class Writing:
    """One way to write a table; its `fields` are those of the contract's source."""

    encoding: str = "utf-8"
    separator: str = ","
    decimal: str = "."
    thousands: str = ""
    preamble: int = 0
    units: bool = False
    footer: int = 0
    ends: str = "\n"
    packing: str = ""
    form: str = "iso"
    zone: str = ""
    shape: str = "wide"
    missing: str = ""
    headless: bool = False
    fields: dict = field(default_factory=dict)

    def source(self) -> dict:
        """Return the fields of the contract that say so."""
        found = {
            "encoding": self.encoding,
            "separator": self.separator,
            "decimal": self.decimal,
            "thousands": self.thousands or None,
            "skip_lines": self.preamble or None,
            "lines_after_header": 1 if self.units else None,
            "footer_lines": self.footer or None,
            "time_format": self.form,
            "time_zone": self.zone or None,
            "missing_values": (self.missing,) if self.missing else None,
            "names": tuple(self.header()) if self.headless else None,
        }
        if self.shape == "long":
            found |= {"tag": "Tag", "value": "Wert"}
        return {name: value for name, value in found.items() if value is not None} | self.fields

    def header(self) -> list[str]:
        """Return the names of the columns."""
        return ["Maschine", "Zeit", *(["Tag", "Wert"] if self.shape == "long" else CHANNELS.values())]

    def number(self, value: float) -> str:
        """Write a number with two decimals; NaN is a missing value."""
        if math.isnan(value):
            return self.missing
        text = f"{value:,.2f}" if self.thousands else f"{value:.2f}"
        return text.translate(str.maketrans({",": self.thousands, ".": self.decimal}))

    def time(self, moment: pd.Timestamp) -> str:
        """Write an instant in UTC."""
        if self.form in EPOCHS:
            return str(int(moment.timestamp()) * EPOCHS[self.form])
        local = moment.tz_convert(ZoneInfo(self.zone)) if self.zone else moment
        return local.strftime(FORMS[self.form])

    def rows(self, frame: pd.DataFrame) -> list[list[str]]:
        """Return the cells of all rows."""
        cells = []
        for row in frame.itertuples():
            key, values = [row.asset, self.time(row.time)], {"Kraft": row.force, "Öl °C": row.heat}
            if self.shape == "wide":
                cells.append([*key, *map(self.number, values.values())])
            else:
                cells += [[*key, name, self.number(value)] for name, value in values.items()]
        return cells

    def write(self, frame: pd.DataFrame) -> bytes:
        """Write the frame with asset, time (UTC), force and heat."""
        out = io.StringIO()
        out.write("".join(f"# line {number} of a preamble{self.ends}" for number in range(self.preamble)))
        writer = csv.writer(out, delimiter=self.separator, lineterminator=self.ends)
        if not self.headless:
            writer.writerow(self.header())
        if self.units:
            writer.writerow(["-"] * len(self.header()))
        writer.writerows(self.rows(frame))
        out.write("".join(f"{number} lines follow the end{self.ends}" for number in range(self.footer)))
        content = out.getvalue().encode(self.encoding)
        if self.packing == ".zst":
            return bytes(memoryview(_zstandard(content)))
        return PACKERS[self.packing](content)


def _zstandard(content: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(content)
    return out.getvalue().to_pybytes()


def contract(path: str, **source) -> Twin:
    """Return a contract of two channels, hourly, whose source is the file or the files of that path."""
    remedy = {"part": "ram", "instruction": "replace it", "lead_time": 1}
    named = {"kind": "table", "path": path, "columns": CHANNELS}
    keys = {} if "single_asset" in source or "{asset}" in source.get("pattern", "") else {"asset": "Maschine"}
    keys |= {} if source.get("time_format") == "row" else {"time": "Zeit"}
    return Twin.model_validate(
        {
            "name": "press",
            "title": "Press",
            "source": named | keys | source,
            "clock": {"unit": "h", "step": 1},
            "channels": {name: {"unit": "1", "role": "sensor", "min": -1e6, "max": 1e6} for name in CHANNELS},
            "rul": {"cap": 10, "remedy": remedy},
            "window": {"length": 10},
        }
    )


def adapted(twin: Twin, folder: Path, raw: Path) -> pd.DataFrame:
    """Fetch from `folder` into the new folder `raw`, and adapt."""
    raw.mkdir(parents=True)
    table.fetch_table(twin.source, folder, raw)
    return pd.concat(table.adapt_table(twin, twin.source, raw), ignore_index=True)


def workbook(sheets: dict[str, list[list[object]]]) -> bytes:
    """Return the smallest workbook (xlsx) of these cells, in a zip archive as spreadsheets write it."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kinds = "http://schemas.openxmlformats.org/package/2006"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{kinds}/content-types"/>')
        start = f'<Relationship Id="r0" Type="{links}/officeDocument" Target="xl/workbook.xml"/>'
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{kinds}/relationships">{start}</Relationships>')
        names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{links}"><sheets>{names}</sheets></workbook>'
        )
        to = "".join(
            f'<Relationship Id="r{n}" Type="{links}/worksheet" Target="worksheets/s{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{kinds}/relationships">{to}</Relationships>'
        )
        for number, rows in enumerate(sheets.values(), 1):
            lines = "".join(
                f'<row r="{y}">' + "".join(_cell(value, f"{chr(65 + x)}{y}") for x, value in enumerate(row)) + "</row>"
                for y, row in enumerate(rows, 1)
            )
            content = f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'
            archive.writestr(f"xl/worksheets/s{number}.xml", content)
    return out.getvalue()


def _cell(value: object, place: str) -> str:
    if isinstance(value, str) and value.startswith("#"):
        return f'<c r="{place}" t="e"><v>{value}</v></c>'
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'
