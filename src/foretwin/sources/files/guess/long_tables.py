"""Survey of a table that is too long to be looked at as a whole: by its first rows, then by those of whole machines."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from foretwin.sources.files.file_names import SINGLE
from foretwin.sources.files.guess.survey import Survey, survey_files
from foretwin.sources.lives.row_sample import RowSample, some_names
from foretwin.sources.tabular import texts


def of_whole_machines(survey: Survey, asset: str) -> Survey:
    """Survey some machines, which the column `asset` names, from beginning to end; few that are long stay as they are.

    What share of the table this is, is told.
    """
    counts = _rows_by_name(survey, asset)
    chosen = some_names(counts)
    if chosen is not None:
        in_files = RowSample(files=chosen) if asset == SINGLE else RowSample(column=asset, machines=chosen)
        survey = survey_files(survey.path, survey.table.shown.partition(": ")[0], in_files, survey.pattern)
    total, seen = sum(counts.values()), len(survey.frame)
    which = f"those of {len(chosen):,} of {len(counts):,} machines" if chosen else "the first ones"
    told = f"rows: {seen:,} of {total:,} were looked at, {which}; `dvc repro` reads all, and tells what does not fit."
    return replace(survey, told=(told, *survey.told), machines=() if asset == SINGLE else tuple(counts))


def _rows_by_name(survey: Survey, asset: str) -> Mapping[str, int]:
    """Return the number of rows of each machine, or of each file where no column names the machine."""
    counts: Counter[str] = Counter()
    for name in survey.names:
        place = survey.path / name if survey.path.is_dir() else survey.path
        file = replace(survey.table, path=place, sample=None)
        column = file.columns[0] if asset == SINGLE else asset
        for frame in file.blocks([column], text=[column]):
            if asset == SINGLE:
                counts[name] += len(frame)
            else:
                counts.update({str(one): count for one, count in texts(frame[column]).value_counts().items()})
    return counts
