// Takes pictures of the page: node pictures.mjs MODULES URL FOLDER drain?
import path from "node:path";
import { withPage } from "./browser.mjs";

const [, , , url, folder, drain] = process.argv;

async function picture(name, options, prepare = async () => {}) {
  const complaints = await withPage({ deviceScaleFactor: 1.5, ...options }, async (page) => {
    await page.goto(url);
    await page.waitForSelector("#connections tbody tr");
    await prepare(page);
    await page.waitForTimeout(2500);
    await page.screenshot({ path: path.join(folder, `${name}.png`) });
  });
  if (complaints.length) throw new Error(complaints.join("\n"));
}

const wide = { viewport: { width: 1280, height: 860 } };
const openPool = async (page) => {
  await page.click(".pool:has-text('http')");
  await page.waitForSelector(".settings");
  await page.fill("#setting-keep_alive_timeout", "20s");
  await page.fill("#setting-max_connections", "200");
};

if (drain) {
  await picture("dashboard-drain", { ...wide, colorScheme: "light" });
} else {
  await picture("dashboard-light", { ...wide, colorScheme: "light" });
  await picture("dashboard-dark", { ...wide, colorScheme: "dark" });
  await picture("dashboard-pool", { ...wide, colorScheme: "light" }, openPool);
  await picture("dashboard-narrow", { viewport: { width: 400, height: 860 }, colorScheme: "light" });
}
