"""The geometry of the report's charts: all of it inside the plot, and nothing left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from egide.auditing.report.charts import MAX_INTERVALS, PLOT_HEIGHT_PX, histogram, throughput


def test_no_match_draws_no_histogram() -> None:
    assert histogram({}, 31) is None
    assert histogram({3: 0}, 31) is None


@given(
    st.dictionaries(st.integers(0, 63), st.integers(0, 10**9), min_size=1),
    st.integers(0, 63),
)
def test_every_counted_distance_has_a_bar_within_the_plot(
    counts: dict[int, int], radius_bits: int
) -> None:
    chart = histogram(counts, radius_bits)
    expected = {distance: count for distance, count in counts.items() if count}
    if chart is None:
        assert not expected
        return
    assert {bar.distance: bar.count for bar in chart.bars} == expected
    for bar in chart.bars:
        assert 0 <= bar.left < bar.middle < bar.left + bar.width <= 100
        assert 2 <= bar.height <= PLOT_HEIGHT_PX
        assert abs(bar.top + bar.height - PLOT_HEIGHT_PX) < 0.02
    assert chart.peak.count == max(expected.values())
    assert len(chart.up) <= 7
    assert len(chart.across) <= 9
    assert all(tick.value == int(tick.value) for tick in chart.up + chart.across)
    assert chart.up[-1].value >= chart.peak.count


def test_bars_are_as_high_as_their_counts() -> None:
    chart = histogram({0: 100, 31: 50}, 31)
    assert chart is not None
    assert [bar.height for bar in chart.bars] == [PLOT_HEIGHT_PX, PLOT_HEIGHT_PX / 2]


def test_too_few_samples_draw_no_line() -> None:
    assert throughput([]) is None
    assert throughput([(0, 0)]) is None
    assert throughput([(0, 5), (0, 9)]) is None
    assert throughput([(0, 0), (10, 0)]) is None


def test_a_steady_rate_is_a_flat_line_at_its_mean() -> None:
    chart = throughput([(second, 40 * second) for second in range(11)])
    assert chart is not None
    assert chart.mean_per_s == chart.slowest_per_s == chart.fastest_per_s == 40
    heights = {float(point.split(",")[1]) for point in chart.points.split()}
    assert heights == {chart.mean_at}


def test_samples_that_go_back_are_passed_over() -> None:
    chart = throughput([(0, 0), (10, 100), (5, 20), (12, 90), (20, 300)])
    assert chart is not None
    assert (chart.slowest_per_s, chart.fastest_per_s, chart.mean_per_s) == (10, 20, 15)


def test_long_audits_are_told_in_minutes_and_hours() -> None:
    units = []
    for last_s in (100, 1000, 100_000):
        chart = throughput([(0, 0), (last_s, 1000)])
        assert chart is not None
        units.append((chart.unit, chart.across[-1].value))
    assert units == [("seconds", 100), ("minutes", 15), ("hours", 20)]


@given(st.lists(st.tuples(st.floats(0.001, 1e4), st.integers(0, 10**6)), min_size=1, max_size=250))
def test_the_line_spans_the_plot_and_stays_in_it(steps: list[tuple[float, int]]) -> None:
    samples, seconds, items = [(0.0, 0)], 0.0, 0
    for step_s, step_items in steps:
        seconds, items = seconds + step_s, items + step_items
        samples.append((seconds, items))
    chart = throughput(samples)
    if chart is None:
        assert items == 0
        return
    points = [tuple(map(float, point.split(","))) for point in chart.points.split()]
    assert len(points) <= 2 * MAX_INTERVALS
    assert points[0][0] == 0
    assert points[-1][0] == 100
    assert all(0 <= down <= PLOT_HEIGHT_PX for _, down in points)
    assert all(0 <= tick.at <= 100.001 for tick in chart.across)
    assert len(chart.across) <= 6
