"""Progress is drawn on a terminal, told in lines elsewhere, and never printed to stdout."""

import io

import pytest

from spaceform.cli.console.progress import Lines, format_figures, format_seconds, progress_bar


class Clock:
    """Time that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


def test_lines_keep_silent_at_first_and_then_speak_every_ten_seconds():
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock=clock)
    for second in range(25):
        clock.now = float(second)
        lines("training", second, 100, {"loss": 0.25, "steps/s": 1.0})
    assert stream.getvalue().splitlines() == [
        "training 10/100, loss 0.25 1 steps/s, about 2 min left",
        "training 20/100, loss 0.25 1 steps/s, about 1 min left",
    ]


def test_a_task_that_begins_again_is_timed_anew():
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock=clock)
    lines("training", 1, 101)
    clock.now = 1000.0
    lines("training", 1, 101)
    clock.now = 1020.0
    lines("training", 21, 101)
    assert stream.getvalue().splitlines() == ["training 1/101", "training 21/101, about 1 min left"]


def test_a_task_of_unknown_length_has_no_end():
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, clock=clock)
    clock.now = 11.0
    lines("fetching", 5, 0)
    assert stream.getvalue() == "fetching 5\n"


def test_short_work_says_nothing(capsys):
    with progress_bar() as progress:
        progress("training", 1, 1, {"loss": 1.0})
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_terminal_gets_a_bar_and_its_cursor_back(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()

    def work():
        with progress_bar(stream) as progress:
            progress("training [x]", 1, 4, {"loss": 0.5})
            progress("fetching", 1, 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    shown = stream.getvalue()
    assert "training [x]" in shown
    assert "loss 0.5" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (8, "8 s"), (180, "3 min"), (4800, "1 h 20 min")])
def test_durations(seconds, text):
    assert format_seconds(seconds) == text


def test_figures():
    assert format_figures(None) == ""
    assert format_figures({"loss": 0.12345, "rows/s": 1234.0}) == "loss 0.123 1,234 rows/s"
