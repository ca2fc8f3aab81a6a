"""The UI as a person uses it, over the real program."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect
from tests.browser.conftest import open_page, sign_in
from tests.system.programs import Watchkeeper

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
IMAGES = Path(__file__).parents[2] / "docs/images"


def test_a_wrong_password_is_refused_in_words_and_the_right_one_opens(browser: Browser, program: Watchkeeper) -> None:
    page = open_page(browser, [])
    page.goto(f"{program.url}/d/wk-host")
    page.get_by_label("User").fill("admin")
    page.get_by_label("Password").fill("guess")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    sign_in(page, program)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_label("Account").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.context.close()


def test_the_overview_shows_what_is_down_and_what_fires(page: Page) -> None:
    alerts = page.get_by_role("region", name="Alerts")
    expect(alerts).to_contain_text("ServiceDown")
    expect(alerts).to_contain_text("api does not answer")
    expect(page.get_by_role("region", name="Services")).to_contain_text("1 of 1 down")
    expect(page.get_by_role("region", name="Inbox")).to_contain_text("ServiceDown", timeout=40_000)


def test_the_hosts_dashboard_draws_every_panel_with_one_request_a_refresh(page: Page, program: Watchkeeper) -> None:
    page.set_viewport_size({"width": 1440, "height": 2400})
    page.get_by_role("link", name="Dashboards", exact=True).click()
    page.get_by_placeholder(re.compile("Search dashboards")).fill("host")
    page.get_by_role("link", name=re.compile("^Host")).click()
    panels = page.locator(".panel")
    expect(panels.first).to_be_visible()
    expect(page.locator(".panel[data-drawn]")).to_have_count(panels.count())
    assert panels.count() >= 15
    expect(page.locator(".panel-error")).to_have_count(0)
    assert page.locator(".chart[data-points]").evaluate_all("charts => charts.every(one => one.dataset.points > 0)")
    expect(page.get_by_label("CPU by mode", exact=True).locator("canvas")).to_be_visible()
    expect(page.locator(".gauge-text").first).to_have_text(re.compile(r"^[\d.]+%$"))
    page.get_by_label("Refresh every").select_option("")  # only ours from here on
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    with page.expect_response("**/api/query/batch"):
        page.get_by_role("button", name="Refresh now").click()
    page.wait_for_load_state("networkidle")
    assert asked == [f"{program.url}/api/query/batch"]


def test_the_address_carries_range_and_variables(page: Page, program: Watchkeeper) -> None:
    page.goto(f"{program.url}/d/wk-services")
    page.get_by_role("button", name=re.compile("^Job: All")).click()
    page.get_by_role("option", name="api").click()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("var-job=api"))
    page.get_by_role("button", name=re.compile("^Time range")).click()
    page.get_by_role("button", name="Last 5 minutes").click()
    expect(page).to_have_url(re.compile("from=now-5m"))
    page.reload()
    expect(page.get_by_role("button", name=re.compile("^Job: api"))).to_be_visible()
    expect(page.get_by_role("button", name="Time range: Last 5 minutes")).to_be_visible()


def test_an_alert_leads_to_its_rule_and_to_its_logs(page: Page) -> None:
    page.get_by_role("region", name="Alerts").get_by_role("link", name=re.compile("ServiceDown")).click()
    expect(page.locator("details[open] code.expr")).to_have_text('up{job="api"} == 0')
    page.locator("details[open]").get_by_role("link", name="Logs").click()
    expect(page.get_by_label("LogQL query")).to_have_value('{job="api"}')
    line = page.locator(".logline").first
    expect(line).to_contain_text("order")
    expect(page.locator(".logline-text b")).to_have_count(0)  # markup in a line is text
    line.get_by_role("button").first.click()
    expect(page.locator(".logline-detail").first).to_contain_text("level")
    expect(page.locator(".volume canvas")).to_be_visible()


def test_a_silence_is_made_from_an_alert_with_a_preview_and_ended(page: Page) -> None:
    page.get_by_role("link", name="Alerts", exact=True).click()
    page.get_by_text("ServiceDown").first.click()
    page.get_by_role("link", name="Silence", exact=True).click()
    expect(page.get_by_text(re.compile(r"Mutes 1 of \d+ alerts"))).to_be_visible()
    page.get_by_label("Why").fill("Mending the API")
    page.get_by_role("button", name="Silence", exact=True).click()
    row = page.locator(".line", has_text="Mending the API")
    expect(row).to_contain_text("active")
    page.get_by_role("tab", name="Groups").click()
    expect(page.locator(".line", has_text="ServiceDown")).to_contain_text("silenced")
    page.get_by_role("tab", name="Silences").click()
    row.get_by_role("button", name="Expire").click()
    expect(page.get_by_text("Mending the API")).to_have_count(0)


def test_explore_completes_runs_and_shows_graph_and_table(page: Page) -> None:
    page.get_by_role("link", name="Explore", exact=True).click()
    query = page.get_by_label("Query", exact=True)
    query.click()
    page.keyboard.type("node_loa")
    page.get_by_role("option", name=re.compile("^node_load1 ")).click()
    expect(query).to_have_value("node_load1")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".result canvas")).to_be_visible()
    page.get_by_role("tab", name="Table").click()
    expect(page.locator(".data-table tbody tr")).to_have_count(1)
    query.fill("rate(node_load1[")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("parse error")


def test_targets_are_filtered_by_health(page: Page) -> None:
    page.get_by_role("link", name="Targets", exact=True).click()
    expect(page.locator(".data-table tbody tr").first).to_be_visible()
    page.get_by_role("button", name="down", exact=True).click()
    expect(page.locator(".data-table tbody tr")).to_have_count(1)
    expect(page.locator(".field-error")).not_to_be_empty()


def test_keys_lead_about_and_the_theme_turns(page: Page) -> None:
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page.get_by_role("heading", name="Targets")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_nothing_is_asked_of_other_sites(page: Page, program: Watchkeeper) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/", "/d/wk-self", "/explore", "/logs", "/alerts"):
        page.goto(program.url + path)
        page.wait_for_load_state("networkidle")
    assert asked
    assert all(url.startswith((program.url, "data:", "blob:")) for url in asked)


@pytest.mark.parametrize(("theme", "width", "height"), [("dark", 1440, 900), ("light", 1440, 900), ("dark", 390, 844)])
def test_pages_fit_wide_and_narrow(browser: Browser, program: Watchkeeper, theme: str, width: int, height: int) -> None:
    said: list[str] = []
    page = open_page(browser, said, theme=theme, width=width, height=height)
    sign_in(page, program)
    shots = {
        "overview": "/",
        "host": "/d/wk-host?from=now-5m",
        "logs": "/logs",
        "alerts": "/alerts",
        "explore": "/explore?expr=node_load1&from=now-5m",
    }
    for name, path in shots.items():
        page.goto(program.url + path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), f"{path} scrolls sideways"
        if os.environ.get("WATCHKEEPER_IMAGES"):  # renews the pictures of docs/
            page.screenshot(path=IMAGES / f"{name}-{'narrow' if width < 500 else theme}.png")
    page.context.close()
    assert not said


def test_rules_are_replayed_over_the_past(page: Page, program: Watchkeeper) -> None:
    page.goto(program.url + "/alerts?tab=replay")
    form = page.get_by_role("form", name="Replay")
    form.get_by_label("From").fill("10m")
    rule = "groups: [{name: g, rules: [{alert: Always, expr: 'vector(1)', labels: {team: web}}]}]"
    form.get_by_label("Rule file").fill(rule)
    form.get_by_label("alertmanager.yml").fill(
        "{route: {receiver: me}, receivers: [{name: me, webhook_configs: [{url: 'http://x/'}]}]}"
    )
    form.get_by_role("button", name="Replay").click()
    told = page.get_by_role("list", name="1 rules, 1 firings, 1 notifications, 0 quiet")
    expect(told).to_contain_text("first notification")
    expect(told).to_contain_text("Always")


def test_a_rule_file_that_cannot_be_read_is_named_on_the_page(browser: Browser, program: Watchkeeper) -> None:
    page = open_page(browser, [])
    sign_in(page, program)
    page.goto(program.url + "/alerts?tab=replay")
    form = page.get_by_role("form", name="Replay")
    form.get_by_label("Rule file").fill("groups: [{nonsense: 1}]")
    form.get_by_role("button", name="Replay").click()
    expect(form).to_contain_text("groups[0].nonsense")
    page.context.close()
