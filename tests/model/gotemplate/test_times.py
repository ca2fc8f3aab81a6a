"""Moments in Go's layouts."""

import pytest

from watchkeeper.model.errors import BadInput
from watchkeeper.model.gotemplate import GoTime, Template

MOMENT = GoTime(1_435_065_584_128)


@pytest.mark.parametrize(
    ("layout", "wanted"),
    [
        ("2006-01-02T15:04:05Z07:00", "2015-06-23T13:19:44Z"),
        ("2006-01-02 15:04:05.999999999 -0700 MST", "2015-06-23 13:19:44.128 +0000 UTC"),
        ("Mon, 02 Jan 2006 15:04:05 MST", "Tue, 23 Jun 2015 13:19:44 UTC"),
        ("Monday January 2 3:04PM .000000", "Tuesday June 23 1:19PM .128000"),
        ("06/1/_2 pm 03", "15/6/23 pm 01"),
    ],
)
def test_layouts(layout: str, wanted: str) -> None:
    assert MOMENT.format(layout) == wanted


def test_moment_in_a_template() -> None:
    text = "{{ .t }} {{ .t.Unix }} {{ .t.Year }} {{ .t.Month }} {{ (.t.Format `15:04`) }} {{ .t.UTC.Hour }}"
    assert Template.parse("t", text).execute({"t": MOMENT}) == (
        "2015-06-23 13:19:44.128 +0000 UTC 1435065584 2015 June 13:19 13"
    )


def test_year_out_of_range_is_refused() -> None:
    with pytest.raises(BadInput, match="want a year between 1 and 9999"):
        GoTime(1 << 62)
