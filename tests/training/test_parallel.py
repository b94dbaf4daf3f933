"""Tasks at once: in this process or joblib's without Ray, and what is said of a cluster that is not there."""

import os
import re
import socket
import sys
from functools import partial

import pytest

from foretwin.errors import ParamsError
from foretwin.project.entrypoint import KERNELS
from foretwin.training.parallel import run_tasks, worker_variables


def raised(base: int, exponent: int) -> int:
    return base**exponent


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)


@pytest.mark.parametrize("address", ["", "auto"])
def test_tasks_are_done_in_order_without_ray_where_none_is_asked_for_or_one_process_does(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORETWIN_RAY", address)
    assert list(run_tasks(partial(raised, 2), [3, 1, 2], alone=bool(address))) == [8, 2, 4]


def refusal(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("FORETWIN_RAY", address)
    with pytest.raises(ParamsError) as refused:
        list(run_tasks(partial(raised, 2), [1], alone=False))
    return str(refused.value)


@pytest.mark.parametrize("address", ["auto", "local"])
def test_ray_that_is_not_installed_is_told_with_the_command_that_installs_it(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = "FORETWIN_RAY: ray is not installed; `pip install 'foretwin[ray]'`"
    assert refusal(address, monkeypatch) == advice


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_a_cluster_that_is_away_is_told_at_once(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = form.format(taken.getsockname()[1])
    told = refusal(address, monkeypatch)
    assert re.fullmatch(f"FORETWIN_RAY: no cluster at {address}: .*Connection refused; start it, or .*", told)


@pytest.mark.parametrize("address", ["cluster", "http://head:6379", "head:port", "head:6379/0"])
def test_what_names_no_cluster_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(address, monkeypatch).startswith(f'FORETWIN_RAY: is "{address}"; give auto, local, ')


def test_workers_get_this_process_s_kernels_one_thread_and_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", *KERNELS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    given = worker_variables(os.environ)
    assert {name: given[name] for name in KERNELS if name in given} == {"ATEN_CPU_CAPABILITY": "avx2"}
    assert (given["OMP_NUM_THREADS"], given["CUDA_VISIBLE_DEVICES"]) == ("1", "")
