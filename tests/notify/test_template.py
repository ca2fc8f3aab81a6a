"""What templates can do beyond the default texts, which test_receivers_peer.py compares with Alertmanager's."""

from pathlib import Path
from typing import Any

import pytest

from watchkeeper.model.alert import Alert
from watchkeeper.model.errors import BadInput, NotDelivered
from watchkeeper.notify.group import FIRING_ENDS_MS
from watchkeeper.notify.log import Reason
from watchkeeper.notify.notification import Notification
from watchkeeper.notify.template import Templates
from watchkeeper.notify.texts import NotificationTexts

AT_MS = 1_700_000_000_000


def alert(ends_at_ms: int = FIRING_ENDS_MS, **labels: str) -> Alert:
    return Alert(labels, {"summary": "<b>"}, AT_MS, ends_at_ms, AT_MS, "http://g/")


def texts(*alerts: Alert, templates: Templates | None = None) -> NotificationTexts:
    shown = alerts or (alert(alertname="A", job="x"), alert(alertname="A", job="y"))
    notification = Notification("a.b", "{}:{}", {"alertname": "A"}, shown, next(iter(Reason)), AT_MS, "http://w", 5)
    return NotificationTexts(templates or Templates.load(), notification)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{ .Receiver }} {{ .Status }} {{ .ExternalURL }}", r"a\.b firing http://w"),
        ('{{ .GroupLabels.Names | join "," }}', "alertname"),
        ('{{ (index .Alerts 0).Labels.SortedPairs.Names | join "," }}', "alertname,job"),
        ('{{ (index .Alerts 0).Labels.Remove (stringSlice "alertname") }}', "job=x"),
        ("{{ range .Alerts }}{{ .Labels.job | toUpper }}{{ end }}", "XY"),
        ('{{ (index .Alerts 0).StartsAt.Format "2006-01-02 15:04 MST" }}', "2023-11-14 22:13 UTC"),
        ('{{ (index .Alerts 0).StartsAt | tz "Europe/Berlin" | date "15:04 MST -0700" }}', "23:13 CET +0100"),
        ('{{ reReplaceAll "(a)" "<$1>" "banana" }} {{ match "^b" "b" }}', "b<a>n<a>n<a> true"),
        ('{{ "a b" | title }} {{ " x " | trimSpace }} {{ "a%20b" | urlUnescape }}', "A B x a b"),
        ('{{ dict "a" (list 1 "<") | toJson }}', '{"a":[1,"\\u003c"]}'),
        ("{{ .CommonLabels.absent }}|{{ humanizeDuration 3661 }}", "|1h 1m 1s"),
        ("{{ .Alerts.Resolved | len }} {{ .Alerts.Firing | len }}", "0 2"),
    ],
)
def test_templates_see_the_notification(template: str, text: str) -> None:
    assert texts().text(template) == text


def test_values_are_escaped_in_html() -> None:
    assert texts().html("<i>{{ .CommonAnnotations.summary }}</i>") == "<i>&lt;b&gt;</i>"
    assert texts().html("{{ .CommonAnnotations.summary | safeHtml }}") == "<b>"


def test_mail_of_alerts_that_are_over_says_so() -> None:
    mail = texts(alert(AT_MS, alertname="A", job='"x"')).html('{{ template "email.default.html" . }}')
    assert "[1] Resolved" in mail and "Firing" not in mail and "job = &#34;x&#34;<br>" in mail


def test_a_file_may_define_a_default_text_anew(tmp_path: Path) -> None:
    (tmp_path / "a.tmpl").write_text('{{ define "slack.default.title" }}mine{{ end }}')
    (tmp_path / "b.tmpl").write_text('{{ define "other" }}{{ template "slack.default.title" . }}!{{ end }}')
    own = Templates.load([str(tmp_path / "*.tmpl")])
    assert texts(templates=own).text('{{ template "other" . }}') == "mine!"


def test_a_template_that_fails_fails_the_notification_for_good() -> None:
    with pytest.raises(NotDelivered, match=r"failed to execute template: .*nothing") as caught:
        texts().text('{{ template "nothing" . }}')
    assert caught.value.permanent


def test_a_file_that_is_not_there_is_no_fault_as_in_alertmanager(tmp_path: Path) -> None:
    assert "{{" not in Templates.load([str(tmp_path / "gone.tmpl")]).execute('{{ "a" }}', {})


def test_a_pattern_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="syntax error in pattern"):
        Templates.load([str(tmp_path / "[a")])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("{{ len .Alerts }}", 2),
        ("{{ .Status }}", "firing"),
        ('["a", "1", 2.5, true, null]', ["a", 1, 2.5, True, None]),  # what it says is read in turn, as there
        ('{"a": "{{ `{{ .Status }}` }}"}', {"a": "{{ .Status }}"}),  # but not run
        ("1e3", 1000),
        ("", None),
        ("1:30", "1:30"),
        ("a: b", {"a": "b"}),
        ({"b": "{{ .Status }}", "a": ["{{ .Status }}", 3]}, {"a": ["firing", 3], "b": "firing"}),
    ],
)
def test_details_are_numbers_and_lists_where_the_text_says_one(value: Any, found: Any) -> None:
    assert texts().deep(value) == found
