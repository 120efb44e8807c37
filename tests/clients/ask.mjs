// Asks the questions that stand on stdin, one after the other, and writes what came to stdout.
import { readFileSync } from "node:fs";
import OpenAI, { toFile } from "openai";

const MESSAGES = [{ role: "user", content: "Hi" }];
const CALLS = {
  "chat.completions": (client) =>
    client.chat.completions.create({ model: "m", messages: MESSAGES, stream: true }),
  completions: (client) => client.completions.create({ model: "m", prompt: "Hi", stream: true }),
  responses: (client) => client.responses.create({ model: "m", input: "Hi", stream: true }),
  assistants: (client) =>
    client.beta.threads.runs.create("t", { assistant_id: "a", stream: true }),
  "audio.transcriptions": async (client) =>
    client.audio.transcriptions.create({
      model: "m",
      file: await toFile(Buffer.from("RIFF"), "a.wav"),
      stream: true,
    }),
};

async function withOpenAI(job, came) {
  const options = { baseURL: job.base_url, apiKey: "x", timeout: job.patience_ms };
  const client = new OpenAI(job.retries ? options : { ...options, maxRetries: 0 });
  for await (const one of await CALLS[job.api](client)) came.push(one);
  return null;
}

async function withFetch(job, came) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ stream: true });
  const response = await fetch(job.url, { method: "POST", headers, body });
  for await (const piece of response.body) came.push(Buffer.from(piece).toString("hex"));
  return response.status === 200 ? null : `status ${response.status}`;
}

// A client that did not give up when its timeout was over is left alone.
function overdue(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms + 400, "waits on"));
}

function told(error) {
  const name = error?.constructor?.name ?? typeof error;
  // Without its cause: of one RST it is ECONNRESET at one time and UND_ERR_SOCKET at another.
  return `${name}: ${error?.message}`;
}

const outcomes = [];
for (const job of JSON.parse(readFileSync(0, "utf8"))) {
  const came = [];
  const asked = (job.how === "openai" ? withOpenAI : withFetch)(job, came).catch(told);
  const error = await Promise.race([asked, overdue(job.patience_ms)]);
  outcomes.push({ came: [...came], error });
}
process.stdout.write(JSON.stringify(outcomes), () => process.exit(0));
