"""What a person sees of a run while it runs."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from crawler.budget import Plan, ServicePlan
from crawler.progress import (
    NARROWEST,
    PHASES,
    LogProgress,
    NightProgress,
    NullProgress,
    Progress,
    duration,
    logged,
    shown_on,
)
from crawler.sources.base import Usage

NOW = datetime(2031, 3, 1, 2, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=40)


def part(service: str = "github", **changes: object) -> ServicePlan:
    usual = {
        "limit": 60,
        "left": 60,
        "resets_at": LATER,
        "reserve": 3,
        "need": 1000,
        "planned": 57,
        "fits": 57,
        "waits": 940,
        "cold": 1,
        "warm": 56,
    }
    return ServicePlan(service=service, **{**usual, **changes})


@dataclass
class Screen:
    """A terminal of some width, and a clock that goes when it is told."""

    width: int = NARROWEST
    encoding: str = "utf-8"
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.file = io.TextIOWrapper(io.BytesIO(), encoding=self.encoding)
        self.console = Console(
            file=self.file,
            record=True,
            width=self.width,
            force_terminal=True,
            color_system=None,
            legacy_windows=False,
        )
        self.shown = NightProgress(self.console, seconds=lambda: self.seconds, clock=lambda: NOW)

    def text(self) -> str:
        self.console.print(self.shown)
        return self.console.export_text()

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.text().splitlines()]


def in_the_midst(screen: Screen) -> Screen:
    """A night in the midst of its visits: one service is through, one goes on, one waits for its limit."""
    screen.shown.phase("planning")
    screen.shown.planned(Plan(services=(part(),)))
    screen.seconds = 10
    screen.shown.phase("visiting")
    screen.seconds = 110
    screen.shown.progress("arxiv", 12, 12, Usage(requests=1))
    screen.shown.progress("github", 40, 57, Usage(requests=61, remaining=0, limit=60, resets_at=LATER))
    screen.shown.progress("huggingface", 1000, 3000, Usage(requests=1300, remaining=4999, limit=5000))
    return screen


def test_the_table_tells_of_every_service_in_sixty_columns() -> None:
    assert in_the_midst(Screen()).lines() == [
        "✓ planning  ▸ visiting  · extracting  · rating  · discovery",
        "1:50 gone, 3:20 left",
        "source                        done requests    budget  left",
        "arxiv       ━━━━━━━━━━━━     12/12        1            done",
        "github      ━━━━━━━━         40/57       61      0/60 waits",
        "huggingface ━━━━         1000/3000     1300 4999/5000  3:20",
        "github: limit used up, begins anew at 02:40 UTC",
        "github: 57 fit the budget, 940 wait for another night",
    ]


@pytest.mark.parametrize("width", [NARROWEST, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    screen = Screen(width=width)
    screen.shown.phase("visiting")
    screen.shown.planned(Plan(services=(part("huggingface", limit=500000, left=400000, waits=10**6),)))
    for name in ("huggingface", "discovery"):
        screen.shown.progress(name, 49_999, 50_000, Usage(requests=150_000))
    lines = screen.lines()
    assert len(lines) == 6
    assert max(len(line) for line in lines) <= width
    assert "49999/50000" in lines[3]
    assert "400000/500000" in lines[4]


def test_a_terminal_without_unicode_gets_ascii() -> None:
    screen = in_the_midst(Screen(encoding="ascii"))
    shown = screen.text()
    assert shown.isascii()
    assert "+ planning  > visiting  - extracting" in shown


def test_before_anything_is_told_there_is_hardly_anything() -> None:
    assert Screen().lines() == ["0:00 gone"]


def test_a_phase_that_is_none_of_the_usual_ones_is_named() -> None:
    screen = Screen()
    screen.shown.phase("closing the books")
    assert screen.lines()[0] == "▸ closing the books"


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_is_marked_when_it_is_its_turn(phase: str) -> None:
    screen = Screen()
    screen.shown.phase(phase)
    assert f"▸ {phase}" in screen.lines()[0]


def test_the_time_left_of_who_was_through_is_told_by_the_pace_since_more_was_found() -> None:
    screen = Screen(width=80)
    screen.shown.phase("visiting")
    screen.seconds = 1000
    screen.shown.progress("github", 10, 10)
    assert screen.lines()[-1].endswith("done")
    screen.seconds = 2000
    screen.shown.progress("github", 10, 30)
    assert screen.lines()[-1].endswith("10/30")
    screen.seconds = 2010
    screen.shown.progress("github", 20, 30)
    assert screen.lines()[-1].endswith(" 0:10")


def test_a_wave_that_is_counted_anew_has_its_own_pace_too() -> None:
    screen = Screen(width=80)
    screen.shown.phase("visiting")
    screen.seconds = 1000
    screen.shown.progress("github", 50, 50)
    screen.shown.phase("visiting")
    screen.seconds = 1010
    screen.shown.progress("github", 5, 10)
    assert screen.lines()[-1].endswith(" 0:10")


def test_who_is_through_waits_for_no_limit() -> None:
    screen = Screen()
    screen.shown.progress("github", 57, 57, Usage(requests=60, remaining=0, limit=60, resets_at=LATER))
    assert "limit used up" not in screen.text()


def test_a_limit_that_has_begun_anew_is_none() -> None:
    screen = Screen()
    screen.shown.progress("github", 5, 57, Usage(requests=60, remaining=0, limit=60, resets_at=NOW))
    assert "limit used up" not in screen.text()


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (5.2, "0:06"), (59.5, "1:00"), (750, "12:30"), (10800, "3:00:00")]
)
def test_durations_read_like_a_clock(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_the_line_in_the_log_tells_the_same() -> None:
    seconds = [0.0]
    told = LogProgress(seconds=lambda: seconds[0], clock=lambda: NOW)
    told.phase("visiting")
    told.planned(Plan(services=(part(),)))
    seconds[0] = 100
    told.progress("github", 40, 57, Usage(requests=61, remaining=0, limit=60, resets_at=LATER))
    told.progress("huggingface", 1000, 3000, Usage(requests=1300))
    assert told.line() == (
        "visiting, 1:40 gone: github 40 of 57, 61 requests, 0 of 60 left, waits for its limit until 02:40 UTC; "
        "huggingface 1000 of 3000, 1300 requests, 3:20 to go"
    )


def test_the_log_gets_a_line_every_so_often_even_while_nothing_happens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="crawler.progress")
    twice = threading.Event()

    class Count(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if len(caplog.records) >= 2:
                twice.set()

    counter = Count()
    logging.getLogger("crawler.progress").addHandler(counter)
    try:
        with logged(every=0.01) as told:
            told.phase("rating")
            assert twice.wait(10)
    finally:
        logging.getLogger("crawler.progress").removeHandler(counter)
    assert caplog.records[-1].getMessage().startswith("rating, ")
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


@pytest.fixture
def root_handler() -> Iterator[tuple[logging.StreamHandler[io.StringIO], io.StringIO]]:
    file = io.StringIO()
    handler = logging.StreamHandler(file)
    logging.getLogger().addHandler(handler)
    yield handler, file
    logging.getLogger().removeHandler(handler)


def test_what_is_logged_meanwhile_goes_above_the_table_and_the_table_goes_in_the_end(
    root_handler: tuple[logging.StreamHandler[io.StringIO], io.StringIO],
) -> None:
    handler, file = root_handler
    console = Console(file=file, width=80, force_terminal=True, color_system=None)
    with shown_on(console) as shown:
        shown.phase("visiting")
        shown.progress("github", 1, 2)
        assert handler.stream is not file
        logging.getLogger("crawler").warning("the [bold]page[/bold] has gone")
    assert handler.stream is file
    assert "the [bold]page[/bold] has gone\n" in file.getvalue()
    # The cursor is shown again, and the last thing done is to wipe the table away.
    assert "\x1b[?25h" in file.getvalue()
    assert file.getvalue().rstrip("\r").endswith("\x1b[2K")


def test_an_interruption_gives_the_terminal_back(
    root_handler: tuple[logging.StreamHandler[io.StringIO], io.StringIO],
) -> None:
    handler, file = root_handler
    console = Console(file=file, width=80, force_terminal=True, color_system=None)
    with pytest.raises(KeyboardInterrupt), shown_on(console):
        raise KeyboardInterrupt
    assert handler.stream is file
    assert "\x1b[?25h" in file.getvalue()


@pytest.mark.parametrize("told", [NullProgress(), LogProgress(), Screen().shown])
def test_every_kind_takes_what_a_run_tells(told: Progress) -> None:
    told.phase("planning")
    told.planned(Plan())
    told.progress("web", 0, 0)
    told.progress("web", 1, 1, Usage())
