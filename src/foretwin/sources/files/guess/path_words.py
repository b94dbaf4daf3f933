"""Words in the paths of files, as columns."""

import pandas as pd

from foretwin.contract.source import TableSource
from foretwin.sources.files.file_names import FILE, SINGLE, path_parts


def with_path_words(frame: pd.DataFrame, pattern: str | None) -> pd.DataFrame:
    """Add the words of a pattern as columns of text; SourceError where a file's path does not end as the pattern."""
    if pattern is None:
        return frame
    names = frame[SINGLE].unique()
    asked = TableSource(kind="table", path="", pattern=pattern, asset=FILE, time_format="row")
    parts = {name: path_parts(asked, name) for name in names}
    words = {word: frame[SINGLE].map({name: parts[name][word] for name in names}) for word in asked.path_words}
    return frame.assign(**words)
