// The same events on Node: finished text through `http`, and better-sse.
// ``raw`` waits for a full socket to drain, ``unbounded`` leaves all to Node's memory.
// node server.mjs: prints its port.
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.BENCH_NODE_MODULES + "/");
const { createSession } = await import(pathToFileURL(require.resolve("better-sse")));

const pad = (number, width) => String(number).padStart(width, "0");
const SMALL = Array.from({ length: 30000 }, (_, n) => `{"text":"token ${pad(n, 6)}","index":0}`);
const TEXTS = { small: SMALL, large: Array(1000).fill("x".repeat(4096)), one: SMALL.slice(0, 1) };
const frameOf = (number, text) => `event: token\nid: ${number}\ndata: ${text}\n\n`;
const RAW = {};
for (const [kind, texts] of Object.entries(TEXTS)) {
  RAW[kind] = texts.map((text, number) => Buffer.from(frameOf(number, text)));
}

async function* paced(count, every) {
  let due = performance.now();
  for (let number = 0; number < count; number++) {
    due += every * 1000;
    await sleep(Math.max(0, due - performance.now()));
    yield [number, `{"at":${pad(process.hrtime.bigint(), 20)},"text":"token"}`];
  }
}

async function raw(response, kind, count, every, waits) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  if (kind === "paced") {
    for await (const [number, text] of paced(count, every)) response.write(frameOf(number, text));
  } else {
    for (const frame of RAW[kind]) {
      if (!response.write(frame) && waits) await once(response, "drain");
    }
  }
  response.end();
}

async function betterSse(request, response, kind, count, every) {
  const session = await createSession(request, response, { serializer: (text) => text });
  if (kind === "paced") {
    for await (const [number, text] of paced(count, every)) session.push(text, "token", `${number}`);
  } else {
    let number = 0;
    for (const text of TEXTS[kind]) {
      session.push(text, "token", `${number++}`);
      if (response.writableNeedDrain) await once(response, "drain");
    }
  }
  response.end();
}

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  const [, how, kind] = url.pathname.split("/");
  const [count, every] = ["count", "every"].map((name) => Number(url.searchParams.get(name)));
  response.on("error", () => {});
  if (how === "raw") raw(response, kind, count, every, true);
  else if (how === "unbounded") raw(response, kind, count, every, false);
  else betterSse(request, response, kind, count, every);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
