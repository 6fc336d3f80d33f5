// SPDX-License-Identifier: BSD-2-Clause
// sse_server.js PORT TARGET -- what a page's server does without culvert: for each EventSource a
// connection to the target, and an event for each of its lines.

const http = require("node:http");
const net = require("node:net");

const [port, target] = process.argv.slice(2).map(Number);

function serve(request, response) {
  const source = net.connect({ port: target, host: "127.0.0.1", noDelay: true });
  let rest = "";

  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  response.flushHeaders();
  source.setEncoding("utf8");
  source.on("data", (text) => {
    const lines = (rest + text).split("\n");
    let events = "";

    rest = lines.pop();
    for (const line of lines)
      events += `data: ${line}\n\n`;
    if (events !== "" && !response.write(events)) {
      source.pause();
      response.once("drain", () => source.resume());
    }
  });
  source.on("end", () => response.end());
  source.on("error", () => response.destroy());
  response.on("close", () => source.destroy());
}

http.createServer(serve).listen(port, "127.0.0.1");
