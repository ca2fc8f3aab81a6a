"""A browser before the real program, which watches this host, a service that is down, and that service's log."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from tests.peers import free_port
from tests.system.programs import PASSWORD, Watchkeeper
from tests.waiting import wait_until

CHROMIUM = Path("/usr/bin/chromium")
RULES = """
groups:
  - name: services
    rules:
      - alert: ServiceDown
        expr: up{job="api"} == 0
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.job }} does not answer"}
"""


def write_config(folder: Path) -> Path:
    """Write a configuration whose one service is down, and whose log says why."""
    config = folder / "config"
    config.mkdir()
    scrape = f"[{{job_name: api, static_configs: [{{targets: ['127.0.0.1:{free_port()}']}}]}}]"
    (config / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [rules.yml]\nscrape_configs: {scrape}\n"
    )
    (config / "rules.yml").write_text(RULES)
    (config / "alertmanager.yml").write_text(
        "route: {receiver: inbox, group_wait: 1s}\nreceivers: [{name: inbox, inbox_configs: [{}]}]\n"
    )
    (config / "watchkeeper.yml").write_text("watch: {host: true, interval_ms: 1000}\n")
    log = folder / "api.log"
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lines = [{"level": "error" if n % 5 == 0 else "info", "time": now, "msg": f"order {n} <b>x</b>"} for n in range(40)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (config / "promtail.yml").write_text(
        "scrape_configs:\n  - job_name: api\n"
        f"    static_configs: [{{targets: [localhost], labels: {{job: api, __path__: {log}}}}}]\n"
        "    pipeline_stages: [{json: {expressions: {level: level}}}, {labels: {level: }}]\n"
    )
    return config


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchkeeper]:
    folder = tmp_path_factory.mktemp("browser")
    one = Watchkeeper(folder, "--config", str(write_config(folder)))
    one.start()
    one.key = one.make_key("read")
    wait_until("the alert to fire", lambda: one.query('ALERTS{alertname="ServiceDown",alertstate="firing"}'), 60)
    wait_until("the host's rates", lambda: one.query("rate(node_cpu_seconds_total[1m])"), 60)
    yield one
    one.kill()


@pytest.fixture(scope="module")  # no longer: Playwright's event loop would stand in the way of other tests' own
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is not there: run tools/test-servers")
    with sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        started = driver.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield started
        started.close()


def open_page(browser: Browser, said: list[str], *, width: int = 1440, height: int = 900, theme: str = "dark") -> Page:
    """Open a page that takes down what the console complains of."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="light" if theme == "light" else "dark",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.set_default_timeout(20_000)

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "401" not in message.text:  # before signing in /api/user is a 401
            said.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: said.append(str(error)))
    return page


def sign_in(page: Page, program: Watchkeeper) -> None:
    page.goto(program.url)
    page.get_by_label("User").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation", name="Main").wait_for()


@pytest.fixture
def page(browser: Browser, program: Watchkeeper) -> Iterator[Page]:
    """Give a page, signed in; fails when the console had anything to complain of."""
    said: list[str] = []
    opened = open_page(browser, said)
    sign_in(opened, program)
    yield opened
    opened.context.close()
    assert not said
