"""How a number went, as a line."""

from edge.console.course import HEIGHT, POINTS_MAX, WIDTH, course, number


def points(line):
    return [tuple(map(float, one.split(","))) for one in line.points.split()]


def test_a_line_goes_from_the_first_to_the_newest_value_and_higher_is_up():
    line = course([10.0, 20.0, 30.0], [40.0, 80.0, 60.0], 1.0, "°C")
    assert points(line) == [(0, HEIGHT - 1), (WIDTH / 2, 1), (WIDTH, HEIGHT / 2)]
    assert (line.low, line.high) == ("40.0 °C", "80.0 °C")


def test_small_differences_stay_small_and_none_is_a_straight_line():
    assert points(course([0, 1], [50, 52], 20, ""))[1] == (WIDTH, HEIGHT / 2 - 0.9)
    assert {y for _, y in points(course([0, 1], [50, 50], 20, ""))} == {HEIGHT / 2}


def test_of_many_values_some_are_drawn_the_newest_among_them_and_one_is_no_line():
    line = course(range(1000), range(1000), 1, "")
    assert len(points(line)) <= POINTS_MAX
    assert points(line)[-1] == (WIDTH, 1)
    assert course([1.0], [1.0], 1, "") is None
    assert (number(None), number(1234.0, "MB"), number(9.96)) == ("", "1,234 MB", "10.0")
