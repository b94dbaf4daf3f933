"""The commands of docs/scale.md, typed in their order: SQLite, PostgreSQL, partitions, a folder of rows."""

import re
import shlex

import numpy as np
import pandas as pd
from sqlalchemy import func, select

from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import open_store
from foretwin.twin.store.ownership.partitioning import read_partitioning
from foretwin.twin.store.tables import scores
from support.commands import shown
from support.live_project import PUMP, living_project
from support.stored_readings import NOON
from support.tiny_bundle import REPOSITORY, random_rows

URL = "postgresql://foretwin@127.0.0.1/plant"


def typed() -> list[list[str]]:
    """The commands of the page's blocks, word by word, but for those that a comment before them leaves out."""
    blocks = re.findall(r"(?<!-->\n)```sh\n(.*?)```", (REPOSITORY / "docs" / "scale.md").read_text(), re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


def test_a_reader_who_types_the_commands_gets_what_the_page_says(postgres, tmp_path, monkeypatch):
    root, url = living_project(tmp_path / "project"), postgres.new_database("walked")
    monkeypatch.chdir(root)
    rows = random_rows(PUMP, {f"P-{i}": 6 for i in range(8)})
    rows.to_csv("rows.csv", index=False)
    (root / "archive").mkdir()
    for number, part in enumerate(np.array_split(np.arange(len(rows)), 2)):
        rows.iloc[part].to_parquet(f"archive/{number}.parquet", index=False)
    ran = []
    for line in typed():
        words = [word.replace(URL, url) for word in line]
        if words[0] == "export":
            monkeypatch.setenv(*words[1].split("="))
        elif words[1] == "watch":  # what it does is in test_partition_kills
            continue
        else:
            ran.append(words[1])
            said = shown(*words[1:])
    assert ran == ["ingest", "migrate-store", "rebalance", "score"]
    assert said == "wrote scores.parquet: 40 scores"
    assert len(pd.read_parquet("scores.parquet")) == 40, "a score of each row but the first of each machine"
    store = open_store(url)
    with store.read() as connection:
        assert read_partitioning(connection).count == 4
    watching = Watching(store, root, WatchSettings())
    assert score_once(watching, lambda: NOON) == 8
    assert len({partition.number for partition in watching.owned}) == 4
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(scores)).scalar_one() == 8
    watching.owner.close()
    store.close()
