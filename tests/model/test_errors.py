"""What errors say to a person."""

from watchkeeper.model.errors import BadConfig, BadConfigs, BadInput, BadQuery, OverLimit, WatchkeeperError


def test_bad_config_names_file_line_field_got_and_want() -> None:
    assert str(BadConfig("f.yml", 3, "a.b", "x", "y")) == "f.yml:3: a.b: got x, want y"
    assert str(BadConfig("f.yml", 0, "", "x", "y")) == "f.yml: got x, want y"
    assert str(BadConfigs([BadConfig("a", 1, "", "x", "y"), BadConfig("b", 2, "", "x", "y")])).count("\n") == 1


def test_bad_query_has_its_position_before_the_text() -> None:
    assert str(BadQuery("parse error: x", (1, 5))) == "1:5: parse error: x"
    assert str(BadQuery("parse error: x")) == "parse error: x"


def test_over_limit_names_the_setting() -> None:
    assert str(OverLimit("query.max_samples", 5, 4)) == "query.max_samples: got 5, want at most 4"


def test_all_are_of_one_tree() -> None:
    assert issubclass(OverLimit, BadInput) and issubclass(BadQuery, BadInput) and issubclass(BadInput, WatchkeeperError)
