"""`import foretwin`: light, the names it offers, and the example of each."""

import ast
import doctest
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import foretwin

SOURCE = Path(foretwin.__file__).parent
FUNCTIONS = [name for name in foretwin.__all__ if callable(getattr(foretwin, name)) and name.islower()]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after that code."""
    shown = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{shown}"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_foretwin_loads_no_library():
    loaded = loaded_after("import foretwin; dir(foretwin); foretwin.errors")
    assert loaded.isdisjoint({"numpy", "pandas", "pydantic", "yaml", "torch", "mlflow", "sqlalchemy", "onnxruntime"})


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("load_contract", {"numpy", "pandas", "torch", "sqlalchemy"}),
        ("load_bundle", {"torch", "mlflow", "sklearn", "sqlalchemy"}),
        ("load_dataset", {"torch", "mlflow", "sklearn", "onnxruntime", "sqlalchemy"}),
        ("evaluate", {"torch", "mlflow", "matplotlib", "sqlalchemy"}),
        ("open_store", {"torch", "mlflow", "onnxruntime"}),
    ],
)
def test_a_name_loads_only_what_it_needs(name, without):
    assert loaded_after(f"import foretwin; foretwin.{name}").isdisjoint(without)


def test_type_checkers_see_the_names_that_are_there():
    stub = ast.parse((SOURCE / "__init__.pyi").read_text())
    homes = {
        alias.asname: node.module if node.module != "foretwin" else "foretwin.errors"
        for node in ast.walk(stub)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (listed,) = (ast.literal_eval(node.value) for node in ast.walk(stub) if isinstance(node, ast.Assign))
    assert sorted(listed) == sorted(foretwin.__all__)
    assert sorted(homes) == sorted(set(listed) - {"__version__"})
    for name, home in homes.items():
        found = getattr(foretwin, name)
        assert found is (sys.modules[home] if isinstance(found, ModuleType) else getattr(sys.modules[home], name))


def test_dir_lists_the_names_and_another_name_is_an_attribute_error():
    assert set(foretwin.__all__) <= set(dir(foretwin))
    with pytest.raises(AttributeError, match="no attribute 'load_twin'"):
        _ = foretwin.load_twin


@pytest.mark.parametrize("name", [*FUNCTIONS, "Bundle", "Bundle.score"])
def test_the_example_in_a_docstring_gives_what_it_shows(name, project):
    described = foretwin
    for part in name.split("."):
        described = getattr(described, part)
    (example,) = doctest.DocTestFinder(recurse=False).find(described, name, globs={"foretwin": foretwin})
    assert example.examples, f"{name} has no example"
    report: list[str] = []
    outcome = doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=report.append)
    assert outcome.failed == 0, "".join(report)
