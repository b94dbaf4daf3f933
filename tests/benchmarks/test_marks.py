"""Best figures of the benchmark's tables are in bold, by what stands behind the stroke: the seeds' ensemble."""

from benchmarks.render.docs import bands, faults
from benchmarks.render.marks import bold_columns


def test_the_best_ensemble_of_a_column_is_bold_and_so_are_its_equals():
    lines = [["one", "9 / 12.5", "0.7 / 0.7"], ["other", "13 / 12", "0.8 / 0.7"], ["third", "", "0.9 / 0.6"]]
    assert bold_columns(lines, least=[1], most=[2]) == [
        ["one", "9 / 12.5", "**0.7 / 0.7**"],
        ["other", "**13 / 12**", "**0.8 / 0.7**"],
        ["third", "", "0.9 / 0.6"],
    ]


def scored(all_of: float, stable: float) -> dict:
    def told(f1: float) -> dict:
        return {"fault": {"valve": {"macro_f1": f1, "ensemble": {"macro_f1": f1}}}}

    return {**told(all_of), "subsets": {"stable": told(stable)}}


def test_faults_are_marked_for_each_part_of_the_data_and_bands_line_by_line():
    report = {"twin": "rig", "cuts": 9, **scored(0.8, 0.9), "baselines": {"linear": scored(0.9, 0.7)}}
    lines = faults([report]).splitlines()
    assert "| network | all | 0.800 / 0.800 |" in lines
    assert "| network | stable | **0.900 / 0.900** |" in lines
    assert "| linear | all | **0.900 / 0.900** |" in lines

    def of_bands(early: float, late: float) -> dict:
        return {"0 to 5": {"count": 3, "rmse": late}, "5 to 9": {"count": 6, "rmse": early}}

    rival = {"rul": {"clipped": {"ensemble": {"rmse": 2.0}}}, "bands": of_bands(2.0, 1.0)}
    report = {"twin": "rig", "cuts": 9, "bands": of_bands(1.0, 2.0), "baselines": {"linear": rival}}
    text = bands([report])
    assert "| 0 to 5 | 3 | 2 | **1** |" in text
    assert "| 5 to 9 | 6 | **1** | 2 |" in text
