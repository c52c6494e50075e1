import json

from retrodict.solvers.callbacks import JsonLog, ProgressBar
from retrodict.solvers.iterate import iterate


def test_log_has_one_line_a_step_and_is_appended_to(halve, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"event": "before"}\n')
    log = JsonLog(path, every=2)
    iterate(halve(), 5, callbacks=[log])
    log.write("end", where=tmp_path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["before", "step", "step", "end"]
    assert [(line["step"], line["size"]) for line in lines[1:3]] == [(2, 0.25), (4, 0.0625)]
    assert lines[3]["where"] == str(tmp_path)


def test_bar_shows_the_first_metric_on_a_terminal_only(capsys):
    with ProgressBar("fit", 2, show=False) as bar:
        bar(1, {"loss": 0.5})
    assert capsys.readouterr() == ("", "")
    with ProgressBar("fit", 2, show=True) as bar:
        bar(1, {"loss": 0.5})
        bar(2, {})
        assert bar._progress.tasks[0].completed == 2
    assert capsys.readouterr().out == ""
