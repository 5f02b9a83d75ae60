// What a backend does with the OpenAI SDK for node: `node sdk_client.cjs URL KEY < webhook`, as sdk_client.py does.
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const OpenAI = require("openai");

async function ended(client, id) {
  for (;;) {
    const video = await client.videos.retrieve(id);
    if (video.status === "completed" || video.status === "failed") return video;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function run(url, key) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key });
  const made = await client.videos.create({ prompt: "a red circle", sf: 4, seed: 7 });
  assert.ok(["queued", "in_progress"].includes(made.status), made.status);
  const video = await ended(client, made.id);
  assert.deepEqual([video.status, video.progress, video.error, video.sf], ["completed", 100, null, 4]);
  const content = await client.videos.downloadContent(made.id);
  assert.equal(Buffer.from(await content.arrayBuffer()).toString("latin1", 4, 8), "ftyp");
  const remix = await client.videos.remix(made.id, { prompt: "a blue circle" });
  assert.equal(remix.remixed_from_video_id, made.id);
  const listed = [];
  for await (const each of client.videos.list({ limit: 1 })) listed.push(each.id);
  assert.ok(listed.indexOf(remix.id) < listed.indexOf(made.id), "pages of one, the newest first");
  for (const id of [remix.id, made.id]) assert.equal((await client.videos.delete(id)).deleted, true);
  const refusals = [
    [404, () => client.videos.retrieve(made.id)],
    [400, () => client.videos.create({ prompt: "a red circle", sf: 1 })],
    [401, () => new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong" }).videos.retrieve(made.id)],
  ];
  for (const [status, call] of refusals) {
    await assert.rejects(call, (error) => error.status === status && Boolean(error.code) && Boolean(error.requestID));
  }
  const message = JSON.parse(readFileSync(0, "utf8"));
  const event = await client.webhooks.unwrap(message.body, message.headers, message.secret);
  assert.match(event.type, /^video\./);
  await assert.rejects(() => client.webhooks.unwrap(`${message.body} `, message.headers, message.secret));
}

run(...process.argv.slice(2)).then(
  () => process.stdout.write(require("openai/version").VERSION),
  (error) => { console.error(error); process.exit(1); },
);
