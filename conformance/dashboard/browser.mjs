// A headless Chromium that tells everything it complains about.
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const [, , modules] = process.argv;
const require = createRequire(path.join(modules, "node_modules", "x.js"));
const { chromium } = require("playwright-core");

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--no-first-run", "--force-color-profile=srgb",
];

/** Runs `work` with a page; returns what the page complained about: errors, violations, dialogs. */
export async function withPage(options, work) {
  const folder = mkdtempSync(path.join(tmpdir(), "wharf-chromium-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium", headless: true, args: FLAGS, ...options,
  });
  const complaints = [];
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    page.on("console", (message) => {
      // A server that is gone is what some tests are about; the page says so by itself.
      if (["error", "warning"].includes(message.type()) && !/^Failed to load resource/.test(message.text())) {
        complaints.push(`${message.type()}: ${message.text()}`);
      }
    });
    page.on("pageerror", (error) => complaints.push(`thrown: ${error.stack}`));
    page.on("dialog", (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    await page.addInitScript(() => {
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    await work(page, context);
    const violations = await page.evaluate(() => window.violations).catch(() => []);
    complaints.push(...violations.map((it) => `policy: ${it}`));
  } finally {
    await context.close();
    rmSync(folder, { recursive: true, force: true });
  }
  return complaints;
}
