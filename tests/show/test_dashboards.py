import json
import os
from pathlib import Path

import pytest

from watchkeeper.model.errors import BadConfig
from watchkeeper.show.dashboards import BUILTIN, Dashboards, read

SHARED = Path(__file__).parents[2] / "../shared/dashboards"


def write(file: Path, **fields: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"title": "T", "panels": [], **fields}))
    return file


def test_dashboards_of_a_directory_are_listed_by_folder_and_title(tmp_path: Path) -> None:
    write(tmp_path / "b.json", uid="b", title="Beta", tags=["x"])
    write(tmp_path / "a.json", uid="a", title="Alpha")
    write(tmp_path / "team" / "c.json", uid="c", title="Gamma")
    found = Dashboards([tmp_path], builtin=None)
    assert [(each.uid, each.folder) for each in found.list()] == [("a", ""), ("b", ""), ("c", "team")]
    beta = found.get("b")
    assert beta is not None
    assert beta.tags == ("x",)
    assert beta.body()["title"] == "Beta"
    assert found.get("zzz") is None


def test_one_bad_file_hides_no_other_and_is_named(tmp_path: Path) -> None:
    write(tmp_path / "good.json", uid="good")
    (tmp_path / "bad.json").write_text('{"title": ')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "other.json").write_text('{"title": "a package file"}')
    found = Dashboards([tmp_path], builtin=None)
    assert [each.uid for each in found.list()] == ["good"]
    assert {Path(file).name for file in found.errors} == {"bad.json", "list.json", "other.json"}
    assert all("want" in error for error in found.errors.values())


def test_a_file_that_turns_bad_keeps_what_it_said_until_it_is_mended(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", uid="a", title="Before")
    found = Dashboards([tmp_path], builtin=None)
    file.write_text("{")
    found.reload()
    assert [each.title for each in found.list()] == ["Before"]
    assert found.errors
    write(file, uid="a", title="After")
    found.reload()
    assert [each.title for each in found.list()] == ["After"]
    assert not found.errors


def test_changed_new_and_deleted_files_show_after_a_reload(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", uid="a", title="One")
    found = Dashboards([tmp_path], builtin=None)
    write(file, uid="a", title="Two")
    os.utime(file, ns=(1, 1))
    write(tmp_path / "n.json", uid="n", title="New")
    found.reload()
    assert [each.title for each in found.list()] == ["New", "Two"]
    file.unlink()
    found.reload()
    assert [each.title for each in found.list()] == ["New"]


def test_the_second_file_with_a_uid_is_refused_but_a_users_file_may_replace_a_builtin(tmp_path: Path) -> None:
    twice, mine, builtin = tmp_path / "twice", tmp_path / "mine", tmp_path / "builtin"
    write(twice / "a.json", uid="same", title="First")
    write(twice / "b.json", uid="same", title="Second")
    found = Dashboards([twice], builtin=None)
    assert [each.title for each in found.list()] == ["First"]
    assert [Path(file).name for file in found.errors] == ["b.json"]
    write(builtin / "x.json", uid="same", title="Built in")
    write(mine / "a.json", uid="same", title="Mine")
    replaced = Dashboards([mine], builtin=builtin)
    assert [each.title for each in replaced.list()] == ["Mine"]
    assert not replaced.errors


def test_api_and_resource_forms_are_understood(tmp_path: Path) -> None:
    wrapped = tmp_path / "wrapped.json"
    wrapped.write_text(json.dumps({"meta": {}, "dashboard": {"uid": "w", "title": "W", "rows": []}}))
    assert read(wrapped).uid == "w"
    v2 = tmp_path / "v2.json"
    content = {
        "apiVersion": "dashboard.grafana.app/v2",
        "metadata": {"name": "v2-uid"},
        "spec": {"title": "V2", "tags": ["t"], "elements": {}},
    }
    v2.write_text(json.dumps(content))
    assert (read(v2).uid, read(v2).title, read(v2).tags) == ("v2-uid", "V2", ("t",))
    assert read(v2).body() == content


def test_a_file_without_a_uid_gets_a_steady_one(tmp_path: Path) -> None:
    file = write(tmp_path / "nouid.json", uid=None)
    assert read(file).uid == read(file).uid
    assert 1 <= len(read(file).uid) <= 40


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "huge.json"
    with file.open("wb") as out:
        out.truncate((4 << 20) + 1)
    with pytest.raises(BadConfig, match="at most"):
        read(file)


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared/dashboards is not beside this clone")
def test_real_dashboards_are_all_taken() -> None:
    found = Dashboards([SHARED], builtin=None)
    assert not found.errors
    assert len(found.list()) == len(list(SHARED.glob("*.json")))


def test_the_builtin_dashboards_are_taken_with_their_uids() -> None:
    found = Dashboards()
    assert not found.errors
    assert {each.uid for each in found.list()} == {"wk-services", "wk-host", "wk-self", "wk-logs", "wk-slo"}
    assert all(each.builtin and each.folder == "watchkeeper" for each in found.list())
    assert len(list(BUILTIN.glob("*.json"))) == 5
