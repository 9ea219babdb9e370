// What somebody does with the page, one scene a run: node scenes.mjs MODULES SCENE URL ARGUMENTS
// prints what was seen, as JSON, with everything that the page complained about.
import { withPage } from "./browser.mjs";

const [, , , scene, url, told] = process.argv;
const wanted = told ? JSON.parse(told) : {};

const texts = (page, selector) => page.locator(selector).allInnerTexts();
const shown = (page) => page.waitForSelector("#connections tbody tr", { timeout: 15_000 });
const measures = (page, name) =>
  page.evaluate((of) => performance.getEntriesByName(of).map((entry) => entry.duration), name);

const scenes = {
  /** The figures, as they stand there. */
  async numbers(page) {
    await shown(page);
    await page.waitForTimeout(1500);
    return {
      status: await page.innerText("#status"),
      facts: await page.innerText("#facts"),
      tiles: await texts(page, ".tile .figure"),
      curves: await page.locator(".tile path.curve[d^='M']").count(),
      pools: await texts(page, ".pool"),
      addresses: await texts(page, "#pools .address"),
      endpoints: await texts(page, ".endpoints tbody tr"),
      sources: await texts(page, ".behind .source"),
      connections: await texts(page, "#connections tbody tr"),
      note: await page.innerText("#connections-note"),
      bytes: await page.evaluate(() => performance.getEntriesByType("resource").filter((it) => it.name.includes("/dashboard/")).reduce((all, it) => all + it.decodedBodySize, 0)),
      elsewhere: await page.evaluate(() => performance.getEntriesByType("resource").map((it) => it.name).filter((name) => !name.startsWith(location.origin))),
    };
  },

  /** Sorts, narrows, and asks for nonsense. */
  async table(page) {
    await shown(page);
    await page.click("#connections th:has-text('Requests') button");
    await page.waitForTimeout(2500);
    const most = await texts(page, "#connections tbody tr td:nth-child(6)");
    await page.fill("#filter [name=peer]", "not an address");
    await page.waitForSelector("#connections-fault:not([hidden])");
    const fault = await page.innerText("#connections-fault");
    await page.fill("#filter [name=peer]", "192.0.2.0/24");
    await page.waitForFunction(() => document.querySelectorAll("#connections tbody tr").length === 0);
    const none = await page.getAttribute("#connections", "data-empty");
    await page.fill("#filter [name=peer]", wanted.peer);
    await page.waitForFunction(() => document.querySelectorAll("#connections tbody tr").length === 1);
    return { most, fault, none };
  },

  /** Closes one connection. */
  async close(page) {
    await shown(page);
    await page.click(`#connections button:has-text("${wanted.peer}")`);
    const facts = await page.innerText("#detail-body");
    await page.click("#detail .danger");
    await page.waitForFunction(() => /has ended/.test(document.getElementById("detail-body").innerText));
    await page.keyboard.press("Escape");
    await page.waitForFunction((peer) => !document.getElementById("connections").innerText.includes(peer), wanted.peer);
    return { facts };
  },

  /** Changes settings: wrongly first. */
  async edit(page) {
    await page.click(".pool:has-text('http')");
    await page.fill("#setting-keep_alive_timeout", "5");
    await page.fill("#setting-max_connections", "77");
    const diff = await texts(page, ".diff li");
    await page.click(".settings [type=submit]");
    await page.waitForSelector("#setting-keep_alive_timeout-fault:not([hidden])");
    const fault = await page.innerText("#setting-keep_alive_timeout-fault");
    const refused = await page.innerText(".told");
    await page.fill("#setting-keep_alive_timeout", "20s");
    await page.fill("#setting-exempt", "10.0.0.0/8, 192.0.2.1");
    await page.click(".settings [type=submit]");
    await page.waitForSelector(".told li");
    const told = await texts(page, ".told li");
    const left = await texts(page, ".diff li");
    await page.waitForFunction(() => document.getElementById("events").innerText.includes("config_changed"));
    return { diff, fault, refused, told, left };
  },

  /** Looks at everything that hostile peers have sent. */
  async hostile(page) {
    await page.check("#every");
    await shown(page);
    await page.waitForTimeout(2500);
    const clients = await texts(page, "#connections .client");
    const details = [];
    for (const button of await page.locator("#connections tbody button").all()) {
      await button.click();
      details.push(await page.innerText("#detail-body"));
      await page.keyboard.press("Escape");
    }
    return {
      clients,
      details,
      events: await texts(page, "#events li"),
      owned: await page.evaluate(() => window.owned ?? null),
      foreign: await page.locator("main :is(script, iframe, img, object, a)").count(),
      title: await page.title(),
    };
  },

  /** A door with a token: a wrong one, then the right one. */
  async token(page) {
    await page.waitForSelector("#ask-token[open]");
    await page.keyboard.press("Escape");
    const stays = await page.locator("#ask-token[open]").count();
    await page.fill("#token", "wrong-wrong-wrong-wrong");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#token-fault:not([hidden])");
    const fault = await page.innerText("#token-fault");
    await page.fill("#token", wanted.token);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".pool");
    await page.reload();
    await page.waitForSelector(".pool");
    await page.waitForSelector("#events [data-event]");
    const kept = await page.evaluate(() => [localStorage.length, document.cookie, location.href]);
    return { stays, fault, kept };
  },

  /** Drains, and watches to the end. */
  async drain(page) {
    await page.waitForSelector(".pool");
    await page.click("#drain");
    // It asks the server first what a drain means.
    await page.waitForSelector("#ask-drain[open]");
    const question = await page.innerText("#ask-drain");
    await page.click("#ask-drain [data-close]");
    const ready = await page.evaluate(() => fetch("/ready").then((answer) => answer.status));
    await page.click("#drain");
    await page.waitForSelector("#ask-drain[open]");
    await page.click("#ask-drain-yes");
    await page.waitForSelector("#progress:not([hidden])");
    await page.waitForFunction(() => document.querySelector("[data-step=now]")?.innerText.includes("finishing"));
    const during = await page.innerText("#progress");
    await page.waitForFunction(() => /process has ended/.test(document.getElementById("progress").innerText), null, { timeout: 30_000 });
    return { question, ready, during, after: await page.innerText("#status"), notice: await page.isVisible("#notice") };
  },

  /** Nothing but keys. */
  async keys(page) {
    await shown(page);
    await page.keyboard.press("/");
    const filter = await page.evaluate(() => document.activeElement.name);
    await page.focus(".pool");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#detail[open]");
    await page.keyboard.press("Escape");
    const back = await page.evaluate(() => document.activeElement.className);
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll("button, input, select")].filter((it) => !(it.innerText || it.getAttribute("aria-label") || it.labels?.length)).length);
    return { filter, back, nameless };
  },

  /** On a telephone. */
  async narrow(page) {
    await page.setViewportSize({ width: 400, height: 800 });
    await shown(page);
    await page.click(".pool");
    await page.waitForSelector(".settings");
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    return { width };
  },

  /** How long updates take. */
  async many(page) {
    await shown(page);
    await page.click("#more");
    await page.waitForTimeout(wanted.ms);
    return {
      note: await page.innerText("#connections-note"),
      updates: await measures(page, "wharf-update"),
      tables: await measures(page, "wharf-connections"),
    };
  },

  /** The server goes away and another comes. */
  async gone(page) {
    await page.waitForSelector(".pool");
    console.log("ready");
    await page.waitForSelector("#notice:not([hidden])", { timeout: 20_000 });
    const notice = await page.innerText("#notice");
    await page.waitForSelector("#notice", { state: "hidden", timeout: 20_000 });
    return { notice, status: await page.innerText("#status") };
  },
};

let seen;
const complaints = await withPage({ viewport: { width: 1280, height: 900 } }, async (page) => {
  await page.goto(url);
  seen = await scenes[scene](page);
});
console.log(JSON.stringify({ ...seen, complaints }));
