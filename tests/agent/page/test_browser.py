"""The page in a real browser, over a fake agent. Screenshots are left in out/ for people."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.agent.page.conftest import NOW, SIZES
from tests.agent.page.conftest import STRANGE as HOSTILE

OUT = Path(__file__).parents[3] / "out"

# Texts whose contrast with the colour behind them is below WCAG AA (4.5, or 3 for large text).
POOR_CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4))
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const c = rgb(getComputedStyle(at).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = Array.from(node.childNodes).some((c) => c.nodeType === 3 && c.data.trim());
    if (!own || !node.offsetParent) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(rgb(style.color)), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) {
      poor.push(node.textContent + ': ' + ratio.toFixed(2));
    }
  }
  return poor;
}"""


def arrive(served: Any, *entries: dict[str, Any]) -> None:
    served.tell(lambda agent: agent.orders.extend(entries))


def alert(alert_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "alert_id": alert_id,
        "cause": "new_order",
        "state": "sounding",
        "order_id": None,
        "raised": 1_790_000_000_000,
        **fields,
    }


def test_an_order_appears_by_itself_and_is_accepted(served, opened, new_order):
    page = opened(served)
    expect(page.locator("#orders")).to_contain_text("No orders yet")
    served.agent.status["alerts"] = [alert("a", order_id="o-12")]
    arrive(served, new_order(12))
    card = page.locator(".order")
    expect(card).to_contain_text("宫保鸡丁")
    expect(card).to_contain_text("46.50")
    expect(page.locator("#news")).to_contain_text("New order 12")
    expect(page).to_have_title("(1) Orders · shop-021")
    expect(page.locator(".alert")).to_contain_text("Order 12")
    for name in ("accept", "reject"):
        assert card.locator(f"[data-act={name}]").bounding_box()["height"] >= 64
    card.locator("[data-act=accept]").click()
    expect(card.locator(".chip").first).to_have_text("Preparing")
    expect(page.locator(".alert")).to_have_count(0)
    expect(page.locator("#toast")).to_contain_text("Order 12 accepted")
    assert served.agent.told("order.accept") == [{"order_id": "o-12"}]


def test_what_a_stranger_wrote_stays_text(served, opened, new_order):
    fields = dict.fromkeys(("platform", "day_seq", "note", "pickup_code", "currency"), HOSTILE)
    item = {"name": HOSTILE, "note": HOSTILE, "options": [{"name": HOSTILE}]}
    entry = new_order(1, items=[item], allergens=[HOSTILE], courier={"name": HOSTILE}, **fields)
    entry["jobs"][0].update(station=HOSTILE, state=HOSTILE)
    arrive(served, entry)
    served.agent.status.update(site=HOSTILE, alerts=[alert("a", cause=HOSTILE)])
    served.agent.status["printers"] = [
        {"name": HOSTILE, "state": HOSTILE, "fault": HOSTILE, "waiting": 1}
    ]
    served.agent.status["health"] = [
        {"code": "x", "severity": "warning", "text": HOSTILE, "since": 1_790_000_000_000}
    ]
    page = opened(served)
    for place in (".what", ".option", ".remark", ".printer", ".alert", "#strip", "#site"):
        expect(page.locator(place).first).to_contain_text(HOSTILE)
    page.locator(f'[data-act="preview-{entry["jobs"][0]["job_id"]}"]').click()
    expect(page.locator(".paper")).to_contain_text("<b>really</b>")
    assert page.locator("img").count() == 0
    assert "owned" not in page.title().replace(HOSTILE, "")


def test_the_language_follows_the_browser_and_can_be_switched(served, opened, new_order):
    arrive(served, new_order(1))
    page = opened(served, locale="zh-CN")
    expect(page.locator("[data-act=accept]")).to_have_text("接单")
    page.locator("#language").click()
    expect(page.locator("[data-act=accept]")).to_have_text("Accept")
    assert page.locator("html").get_attribute("lang") == "en"
    page.reload()
    expect(page.locator("[data-act=accept]")).to_have_text("Accept")


def test_both_languages_say_the_same_things(served, opened):
    page = opened(served)
    en, zh = page.evaluate(
        """async () => {
          const { STRINGS } = await import('/i18n.js');
          const slots = (text) => (text.match(/\\{\\w+\\}/g) || []).sort().join();
          return [STRINGS.en, STRINGS.zh].map((words) => Object.keys(words).sort()
            .map((key) => [key, slots(words[key])]));
        }"""
    )
    assert en == zh


def test_the_keyboard_is_enough_and_keeps_its_place(served, opened, new_order):
    arrive(served, new_order(1), new_order(2))
    page = opened(served)
    expect(page.locator(".order")).to_have_count(2)
    accept = page.locator("[data-key=o-2] [data-act=accept]")
    for _ in range(20):
        page.keyboard.press("Tab")
        if accept.evaluate("node => node === document.activeElement"):
            break
    assert accept.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    ready = page.locator("[data-key=o-2] [data-act=ready]")
    expect(ready).to_be_focused()
    arrive(served, new_order(3))
    expect(page.locator(".order")).to_have_count(3)
    expect(ready).to_be_focused()


def test_a_rejection_asks_why_and_escape_leaves_it(served, opened, new_order):
    arrive(served, new_order(1))
    page = opened(served)
    reject = page.locator("[data-act=reject]")
    reject.click()
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(reject).to_be_focused()
    reject.click()
    page.get_by_role("button", name="Sold out").click()
    expect(page.locator(".order .chip").first).to_have_text("Rejected")
    assert served.agent.told("order.reject") == [{"order_id": "o-1", "reason": "sold_out"}]


def test_a_ticket_is_shown_and_printed_again(served, opened, new_order):
    arrive(served, new_order(1))
    page = opened(served)
    page.locator("[data-act=preview-j-1]").click()
    rule = page.locator(".paper .row", has_text="-" * 48)
    assert rule.bounding_box()["height"] < 30, "48 columns fit on a line"
    page.get_by_role("button", name="Close", exact=True).click()
    page.locator("[data-act=reprint-j-1]").click()
    expect(page.locator("#toast")).to_contain_text("printed again")
    assert served.agent.told("printer.reprint") == [{"job_id": "j-1"}]


def test_a_printer_says_what_to_do_and_what_becomes_of_waiting_tickets(served, opened):
    kitchen = {"name": "kitchen", "state": "fault", "fault": "paper_out", "waiting": 6}
    served.agent.status["printers"] = [kitchen]
    page = opened(served)
    printer = page.locator(".printer")
    expect(printer).to_contain_text("insert a new roll")
    expect(printer.locator(".resume")).to_have_count(0)
    served.tell(lambda _: kitchen.update(state="held", fault=None))
    expect(printer).to_contain_text("6 tickets wait")
    printer.get_by_role("button", name="Print none").click()
    page.get_by_role("button", name="Go back").click()
    assert served.agent.told("printer.resume") == []
    printer.get_by_role("button", name="Only the latest").click()
    expect(printer.locator(".chip")).to_have_text("Ready")
    assert served.agent.told("printer.resume") == [{"printer": "kitchen", "choice": "latest"}]


def test_the_shop_is_switched_and_alerts_are_acknowledged(served, opened):
    served.agent.status["alerts"] = [alert("a"), alert("b", cause="printer", state="escalated")]
    page = opened(served)
    page.locator("#shop .busy").click()
    expect(page.locator("#shop .busy")).to_have_attribute("aria-pressed", "true")
    page.locator("[data-act=ack-a]").click()
    expect(page.locator(".alert")).to_have_count(1)
    expect(page.locator("[data-act=ack-b]")).to_be_focused()
    expect(page.locator(".alert")).to_contain_text("nobody has answered yet")
    assert served.agent.told("shop.set") == [{"status": "busy"}]
    assert served.agent.told("alert.ack") == [{"alert_ids": ["a"]}]


def test_many_new_orders_ring_in_one_row_and_leave_room_for_the_orders(served, opened, new_order):
    page = opened(served)
    served.agent.status["alerts"] = [alert(f"a{n}", order_id=f"o-{n}") for n in range(1, 15)]
    arrive(served, *(new_order(n) for n in range(1, 15)))
    expect(page.locator(".alert")).to_have_count(1)
    expect(page.locator(".alert")).to_contain_text("Orders 1, 2, 3")
    expect(page.locator(".alert")).to_contain_text("12, ...")
    assert page.locator("#orders").bounding_box()["y"] < 480
    page.locator(".alert button").click()
    expect(page.locator(".alert")).to_have_count(0)
    assert served.agent.told("alert.ack") == [{"alert_ids": [f"a{n}" for n in range(1, 15)]}]


def test_what_ails_the_device_is_said_in_the_readers_language(served, opened):
    text = "printer kitchen: out of paper: open the lid and put in a new roll"
    served.agent.status["health"] = [
        {"code": "printer.kitchen", "severity": "critical", "text": text, "since": NOW}
    ]
    page = opened(served, locale="zh-CN")
    expect(page.locator("#strip")).to_contain_text("打印机 kitchen：缺纸")
    assert "out of paper" not in page.locator("#strip").inner_text()
    page.locator("#language").click()
    expect(page.locator("#strip")).to_contain_text("out of paper")


def test_time_to_answer_runs_out_and_what_contradicts_is_said(served, opened, new_order):
    page = opened(served)
    now = page.evaluate("Date.now()")
    soon, over = new_order(3, expires_at=now + 3_605_000), new_order(2, expires_at=now - 1)
    void = new_order(1)
    void.update(stage="cancelled", conflict="accepted here")
    made = new_order(4)
    made.update(stage="accepted", conflict="rejected here", unconfirmed="accepted")
    arrive(served, soon, over, void, made)
    expect(page.locator("[data-key=o-3] .due")).to_contain_text("left to answer")
    expect(page.locator("[data-key=o-2] .due")).to_contain_text("Time to answer is over")
    expect(page.locator("[data-key=o-4]")).to_contain_text("it must be made")
    expect(page.locator("[data-key=o-4]")).to_contain_text("not confirmed it yet")


def test_everything_that_a_cook_must_know_is_on_the_card(served, opened, new_order):
    cola = {"name": "Cola", "qty": 2, "options": [{"name": "no ice"}]}
    item = {"name": "Set", "options": [cola], "allergens": ["milk"], "note": "hot"}
    extra = {"name": "Waiter", "text": "Li"}
    more = {"table": "A12", "guests": 4, "change_for": 10_000, "display_id": "MT-88"}
    fee = [{"name": "Packing", "amount": 200}]
    arrive(served, new_order(1, items=[item], extras=[extra], fees=fee, **more))
    page = opened(served)
    card = page.locator(".order")
    for said in ("2× Cola", "no ice", "milk", "hot", "Waiter Li", "Table A12", "Guests 4"):
        expect(card).to_contain_text(said)
    for said in ("change for ¥100.00", "Packing ¥2.00", "MT-88"):
        expect(card).to_contain_text(said)


def test_an_order_that_is_ready_is_handed_over(served, opened, new_order):
    entry = new_order(1)
    entry["stage"] = "ready"
    arrive(served, entry)
    page = opened(served)
    page.locator("[data-act=picked_up]").click()
    expect(page.locator("#toast")).to_contain_text("handed over")
    assert served.agent.told("order.picked_up") == [{"order_id": "o-1"}]


def test_of_many_faults_the_worst_are_shown_and_the_rest_on_request(served, opened):
    served.agent.status["health"] = [
        {"code": f"c{n}", "severity": "warning", "text": f"fault {n}", "since": NOW}
        for n in range(6)
    ]
    page = opened(served)
    lines = page.locator("#strip .line")
    expect(lines).to_have_count(3)
    page.get_by_role("button", name="3 more").click()
    expect(lines).to_have_count(6)
    page.get_by_role("button", name="Show less").click()
    expect(lines).to_have_count(3)


def test_an_outage_is_said_in_words(served, opened):
    page = opened(served)
    strip = page.locator("#strip")
    expect(strip).to_contain_text("All is well")
    backlog = {"critical": 4, "state": 1, "telemetry": 60}
    oldest = {"critical": NOW, "state": NOW - 3_600_000, "telemetry": None}
    down = {"up": False, "since": NOW, "backlog": backlog, "oldest": oldest}
    served.tell(lambda agent: agent.status["link"].update(down))
    expect(strip).to_contain_text("Orders saved, will send")
    expect(strip).to_contain_text("4 of orders")
    found = re.search(
        r"Since .*(\d\d:\d\d)\..*The oldest is from .*(\d\d:\d\d), .* ago\.", strip.inner_text()
    )
    assert found
    assert found[1] != found[2]


def test_a_page_without_its_agent_says_so_and_comes_back(served, opened, new_order):
    arrive(served, new_order(1))
    page = opened(served)
    expect(page.locator(".order")).to_have_count(1)
    page.context.set_offline(True)
    page.locator("[data-act=accept]").click()
    expect(page.locator("#toast")).to_contain_text("did not answer")
    expect(page.locator("#strip")).to_contain_text("lost the device")
    page.context.set_offline(False)
    arrive(served, new_order(2))
    expect(page.locator(".order")).to_have_count(2)
    expect(page.locator("#strip")).to_contain_text("All is well")
    opened.errors.clear()  # the browser reports each failed request


def test_a_refused_command_gives_the_agents_reason(served, opened, new_order):
    arrive(served, new_order(1))
    page = opened(served)
    accept = page.locator("[data-act=accept]")
    expect(accept).to_be_visible()
    served.agent.orders = []
    accept.click()
    expect(page.locator("#toast")).to_contain_text("there is no order o-1")
    expect(page.locator(".order")).to_have_count(0)
    opened.errors.clear()


def test_orders_come_in_pages_of_15_and_waiting_ones_below_are_counted(served, opened, new_order):
    entries = [new_order(n) for n in range(40)]
    for entry in entries[5:]:
        entry["stage"] = "closed"
    served.agent.orders = entries
    served.agent.status["waiting"] = 5
    page = opened(served)
    expect(page.locator(".order")).to_have_count(15)
    expect(page.locator("#more")).to_contain_text("5 waiting orders are further down")
    more = page.get_by_role("button", name="Show 15 older")
    more.click()
    expect(page.locator(".order")).to_have_count(30)
    more.click()
    expect(page.locator(".order")).to_have_count(40)
    expect(more).to_have_count(0)
    expect(page.locator(".hidden-waiting")).to_have_count(0)


def test_money_is_shown_in_the_currencys_own_units(served, opened):
    page = opened(served)
    shown = page.evaluate(
        """async () => {
          const { money } = await import('/format.js');
          return [[4650, 'USD'], [4650, 'JPY'], [4650, 'KWD'], [4650], [-5, 'USD'], [1, '<b>']]
            .map((given) => money(...given));
        }"""
    )
    assert shown == ["$46.50", "¥4,650", "KWD\xa04.650", "46.50", "-$0.05", "0.01 <b>"]


@pytest.mark.parametrize("size", SIZES)
def test_it_fits_the_screen_and_is_readable(served, opened, new_order, size):
    long = new_order(3, items=[{"name": "x" * 200, "note": "辣" * 120}], note="n" * 300)
    late = new_order(2, allergens=["peanut"], due_at=1_790_000_000_000)
    late["stage"] = "accepted"
    over = new_order(1)
    over["stage"] = "cancelled"
    served.agent.orders = [over, late, long]
    served.agent.status.update(
        alerts=[alert("a"), alert("b", state="escalated")],
        health=[{"code": "x", "severity": "critical", "text": "disk full", "since": 1}],
        printers=[
            {"name": "kitchen", "state": "held", "fault": None, "waiting": 6},
            {"name": "bar", "state": "fault", "fault": "paper_out", "waiting": 0},
        ],
    )
    served.agent.status["link"]["up"] = False
    page = opened(served, size, "zh-CN")
    expect(page.locator(".order")).to_have_count(3)
    OUT.mkdir(exist_ok=True)
    page.screenshot(path=OUT / f"page-{size}.png", full_page=True)
    root = "document.documentElement."
    assert page.evaluate(root + "scrollWidth") <= page.evaluate(root + "clientWidth")
    assert page.evaluate(POOR_CONTRAST) == []


def test_a_dish_is_sold_out_by_touch_and_comes_back(served, opened, new_order):
    arrive(served, new_order(1, items=[{"sku": "d-1", "name": "宫保鸡丁"}]))
    low = {"sku": "d-2", "name": "Tofu", "left": 3, "available": True}
    served.agent.status["stock"] = [low]
    page = opened(served, "phone")
    expect(page.locator("#stock")).to_contain_text("Low stock: 3 left")
    page.locator(".items [data-act=stock-d-1]").click()
    expect(page.locator("#stock .chip")).to_have_text("Sold out")
    page.locator("#stock button").click()
    expect(page.locator("#stock li")).to_have_count(0)
    told = served.agent.told("stock.set")
    assert [(each["sku"], each["available"]) for each in told] == [("d-1", False), ("d-1", True)]


def test_from_the_network_the_pin_is_asked_before_anything_is_seen(networked, opened, new_order):
    networked.set_pin("staff", "271828")
    arrive(networked, new_order(1))
    url = f"http://127.0.0.2:{networked.service.lan_port}/"
    page = opened(networked, "tablet", url=url)
    page.locator("#pin").fill("999999")
    page.keyboard.press("Enter")
    expect(page.locator(".wrong")).to_contain_text("not the PIN")
    assert page.locator(".order").count() == 0
    page.locator("#pin").fill("271828")
    page.get_by_role("button", name="Let me in").click()
    page.locator("[data-act=accept]").click()
    expect(page.locator(".order .chip").first).to_have_text("Preparing")
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("#pin")).to_be_visible()
    assert page.locator(".order").count() == 0
    opened.errors.clear()  # the browser reports each refused request


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_technician_sees_checks_receiver_queue_and_settings(served, opened, locale):
    served.set_pin("technician", "314159")
    page = opened(served, "phone", locale, served.url + "tech.html")
    page.locator("#pin").fill("314159")
    page.keyboard.press("Enter")
    expect(page.locator("#checks .faulty")).to_contain_text("does not answer")
    expect(page.locator("#config")).to_contain_text("config.toml")
    expect(page.locator("#rows")).to_contain_text(HOSTILE)
    expect(page.locator("#gps")).to_contain_text("7 / 12")
    expect(page.locator(".star")).to_have_count(11)
    expect(page.locator("#lines")).to_contain_text("$GPRMC")
    expect(page.locator("#heard tbody tr")).to_have_count(2)
    expect(page.locator("#log")).to_contain_text(HOSTILE)
    assert page.locator("#bench img").count() == 0
    paper = page.locator("#setup li", has_text="kitchen").nth(1)
    expect(paper).to_have_class("open")
    page.locator("#tests button").first.click()
    page.locator("dialog .go").click()
    expect(paper).to_have_class("fine")
    assert served.agent.told("printer.test") == [{"printer": "kitchen"}]
    page.locator("#tests button").nth(1).click()
    expect(page.locator("dialog pre")).to_contain_text("1b 40 68 65 6c 6c 6f")
    expect(page.locator("dialog pre")).to_contain_text(".@hello <b>")
    page.keyboard.press("Escape")
    page.screenshot(path=OUT / f"tech-{locale}.png", full_page=True)
    root = "document.documentElement."
    assert page.evaluate(root + "scrollWidth") <= page.evaluate(root + "clientWidth")
    assert page.evaluate(POOR_CONTRAST) == []
    opened.errors.clear()  # the browser reports each refused request


def test_the_support_file_is_downloaded(served, opened):
    served.set_pin("technician", "314159")
    page = opened(served, "desktop", url=served.url + "tech.html")
    page.locator("#pin").fill("314159")
    page.keyboard.press("Enter")
    with page.expect_download() as download:
        page.locator("#bundle").click()
    assert download.value.suggested_filename == "edge-agent-sh-021-01.tar.gz"
    assert Path(download.value.path()).read_bytes() == b"\x1f\x8b\x08\x00\x00\x00"
    opened.errors.clear()


def test_settings_are_tried_while_they_are_written_and_kept_when_they_are_right(served, opened):
    served.set_pin("technician", "314159")
    page = opened(served, "tablet", url=served.url + "tech.html")
    page.locator("#pin").fill("314159")
    page.keyboard.press("Enter")
    area = page.locator("#settings")
    expect(area).to_have_value("[alert]\nrepeat_s = 8\n")
    area.fill("[alert]\nrepeat_s = 0\n")
    problem = page.locator("#problems .faulty")
    expect(problem).to_contain_text("alert.repeat_s")
    expect(area).to_have_attribute("aria-invalid", "true")
    problem.get_by_role("button", name="Line 2").click()
    assert area.evaluate("a => a.value.slice(a.selectionStart, a.selectionEnd)") == "repeat_s = 0"
    area.fill("[alert]\nrepeat_s = 5\n")
    expect(page.locator("#problems")).to_contain_text("Nothing is wrong")
    page.get_by_role("button", name="Keep and start anew").click()
    page.get_by_role("button", name="Start anew", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("starts anew")
    assert served.agent.told("config.write") == [{"text": "[alert]\nrepeat_s = 5\n"}]
    opened.errors.clear()


def test_without_a_pin_the_technicians_page_says_how_to_set_one(served, opened):
    page = opened(served, url=served.url + "tech.html")
    expect(page.locator("dialog")).to_contain_text("edge-agent page pin technician")
    opened.errors.clear()
