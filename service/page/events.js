/** How a job goes on: by the service's event stream, and where there is none by asking every second. */

import { jobPath, Problem } from "./api.js";

const LEAST_PAUSE = 500;
const MOST_PAUSE = 8000;
const ASK_PAUSE = 1000;

/**
 * Follow a video or an image to its end.
 *
 * onJob: called with it as it stands. onStep, onPreview: with the data of these events. onLine: with null while all is well,
 * else with the problem that keeps news away; it is tried again until the signal aborts. Raises what no trying helps.
 */
export async function follow(api, id, { signal, onJob, onStep = () => {}, onPreview = () => {}, onLine = () => {} }) {
  const path = jobPath(id);
  let ended = false;
  const told = (job) => {
    ended = hasEnded(job);
    onJob(job);
  };
  const handlers = { video: told, image: told, step: onStep, preview: onPreview, deleted: gone };
  try {
    for await (const { event, data } of events(api, `${path}/events`, { signal, onLine })) {
      handlers[event]?.(data);
      if (ended) return;
    }
  } catch (problem) {
    if (problem.code !== "not_found") throw problem;
    await ask(api, path, { signal, onLine, onJob: told, isOver: () => ended });
  }
}

function gone() {
  throw new Problem({ message: "It was deleted.", code: "deleted", status: 410 });
}

/** Whether nothing about a job will change any more. */
export function hasEnded(job) {
  return job.status === "completed" || job.status === "failed";
}

/**
 * The events of a stream, as `{event, data, id}` with data decoded; after an interruption on from the last one. Ends with
 * the signal. By `fetch`, since an EventSource could not send the API key.
 *
 * A tab that is not looked at has no stream: a browser gives a host six connections for all of its tabs together.
 */
export async function* events(api, path, { signal, onLine = () => {} }) {
  let last = "";
  let pause = LEAST_PAUSE;
  for (await shown(signal); !signal.aborted; await shown(signal)) {
    const looked = whileShown(signal);
    try {
      const headers = { accept: "text/event-stream", ...(last && { "last-event-id": last }) };
      const response = await api.call("GET", path, { signal: looked, headers });
      for await (const message of messages(response.body, () => onLine(null))) {
        if (message.event === "error") throw new Problem({ ...message.data.error, status: 503 });
        pause = LEAST_PAUSE;
        last = message.id || last;
        yield message;
      }
    } catch (problem) {
      if (signal.aborted) return;
      if (looked.aborted) continue;
      const line = problem instanceof Problem ? problem : new Problem({ message: "The connection was cut.", code: "no_answer" });
      if (!line.passes) throw problem;
      onLine(line);
    }
    await sleep(pause, signal);
    pause = Math.min(2 * pause, MOST_PAUSE);
  }
}

/** When the tab is looked at. */
function shown(signal) {
  if (!document.hidden || signal.aborted) return undefined;
  return new Promise((resolve) => {
    const end = () => {
      document.removeEventListener("visibilitychange", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    document.addEventListener("visibilitychange", end);
    signal.addEventListener("abort", end);
  });
}

/** Aborts when the tab is not looked at any more, or with the signal. */
function whileShown(signal) {
  const hidden = new AbortController();
  document.addEventListener("visibilitychange", () => hidden.abort(), { once: true });
  return AbortSignal.any([signal, hidden.signal]);
}

async function ask(api, path, { signal, onLine, onJob, isOver }) {
  let pause = ASK_PAUSE;
  while (!signal.aborted) {
    try {
      const job = await api.get(path, { signal });
      onLine(null);
      onJob(job);
      if (isOver()) return;
      pause = ASK_PAUSE;
    } catch (problem) {
      if (signal.aborted) return;
      if (!problem.passes) throw problem;
      onLine(problem);
      pause = Math.min(2 * pause, MOST_PAUSE);
    }
    await sleep(pause, signal);
  }
}

/** The messages of a body, by the rules of Server-Sent Events. onBegun: called once what happens from now on will be told. */
async function* messages(body, onBegun) {
  let fields = { event: "message", data: [], id: "" };
  for await (const line of lines(body, onBegun)) {
    if (line === "") {
      if (fields.data.length) yield { ...fields, data: JSON.parse(fields.data.join("\n")) };
      fields = { event: "message", data: [], id: "" };
      continue;
    }
    const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
    if (name === "data") fields.data.push(value ?? "");
    else if (name === "event" || name === "id") fields[name] = value ?? "";
  }
}

async function* lines(body, onBegun) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    let part = await reader.read(); // Headers come before the service listens; how things stand comes after.
    onBegun();
    for (; !part.done; part = await reader.read()) {
      const whole = (rest + part.value).split(/\r\n|\n|\r(?!$)/);
      rest = whole.pop();
      yield* whole;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });
}
