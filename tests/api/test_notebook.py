"""The notebook for a first look, run from its first cell to its last."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "first_machine.ipynb"


@pytest.mark.timeout(900)
def test_the_notebook_goes_from_a_data_set_to_a_scored_machine(monkeypatch):
    monkeypatch.delenv("FORETWIN_DATASETS", raising=False)
    content = nbformat.read(NOTEBOOK, as_version=4)
    there = {"metadata": {"path": NOTEBOOK.parent}}
    client = NotebookClient(content, timeout=600, kernel_name="python3", resources=there)
    client.execute()
    outputs = [output for cell in content.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = "".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)
    assert "<Bundle of pump: rul, mode from 11 channels" in shown
    assert "predictions for 30 held-out pumps" in shown
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1


def test_the_notebook_is_committed_without_outputs():
    content = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(content)
    assert [cell.outputs for cell in content.cells if cell.cell_type == "code" and cell.outputs] == []
