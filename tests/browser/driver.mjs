// SPDX-License-Identifier: BSD-2-Clause
// Chromium on a leash: commands come as lines of JSON on standard input, answers go to standard
// output. node driver.mjs PROFILE_DIRECTORY [ARGUMENT_OF_CHROMIUM…]
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const context = await chromium.launchPersistentContext(process.argv[2], {
  executablePath: "/usr/bin/chromium",
  headless: true,
  viewport: { width: 800, height: 600 },
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    ...process.argv.slice(3),
  ],
});
context.setDefaultTimeout(30000);
let page = context.pages()[0] ?? (await context.newPage());
listen(page);
context.on("page", listen);

function listen(page) {
  page.on("pageerror", (error) => console.error("page:", error.message));
  page.on("console", (message) => console.error("console:", message.text()));
}


const commands = {
  goto: ({ url }) => page.goto(url).then((answer) => answer?.status()),
  evaluate: ({ code }) => page.evaluate(code),
  press: ({ key }) => page.keyboard.press(key),
  type: ({ text }) => page.keyboard.type(text),
  click: ({ x, y }) => page.mouse.click(x, y),
  clickOn: ({ selector }) => page.click(selector),
  fill: ({ selector, text }) => page.fill(selector, text),
  select: ({ selector, value }) => page.selectOption(selector, value),
  // Another tab instead of this one.
  renew: async () => {
    const old = page;
    page = await context.newPage();
    await old.close();
  },
  text: ({ selector }) => page.innerText(selector),
  screenshot: ({ path }) => page.screenshot({ path }).then(() => null),
  // The colour of a pixel of the page as it is seen, from a screenshot.
  pixel: async ({ x, y }) => {
    const png = (await page.screenshot()).toString("base64");
    return page.evaluate(
      async ([source, x, y]) => {
        const image = new Image();
        image.src = source;
        await image.decode();
        const canvas = document.createElement("canvas");
        canvas.width = image.width;
        canvas.height = image.height;
        const paper = canvas.getContext("2d");
        paper.drawImage(image, 0, 0);
        return [...paper.getImageData(x, y, 1, 1).data].slice(0, 3);
      },
      ["data:image/png;base64," + png, x, y],
    );
  },
};

console.log(JSON.stringify({ result: "ready" }));
for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...options } = JSON.parse(line);
  try {
    const result = await commands[command](options);
    console.log(JSON.stringify({ result: result ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.message ?? error) }));
  }
}
await context.close();
