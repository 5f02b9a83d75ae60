/** How a job goes on: by the service's event stream, and where there is none by asking every second. */

import { Problem } from "./api.js";

const LEAST_PAUSE = 500;
const MOST_PAUSE = 8000;
const ASK_SECONDS = 1;

/**
 * Follow a video to its end.
 *
 * onVideo: called with the Video. onStep, onPreview: with the data of these events. onLine: with null while all is well,
 * else with the problem that keeps news away; it is tried again until the signal aborts. Raises what no trying helps.
 */
export async function follow(api, id, { signal, onVideo, onStep = () => {}, onPreview = () => {}, onLine = () => {} }) {
  const path = `v1/videos/${encodeURIComponent(id)}`;
  let ended = false;
  const handlers = {
    video: (video) => {
      ended = hasEnded(video);
      onVideo(video);
    },
    step: onStep,
    preview: onPreview,
  };
  try {
    for await (const { event, data } of events(api, `${path}/events`, { signal, onLine })) {
      handlers[event]?.(data);
      if (ended) return;
    }
  } catch (problem) {
    if (![404, 405, 501].includes(problem.status)) throw problem;
    await ask(api, path, { signal, onLine, onVideo: handlers.video, isOver: () => ended });
  }
}

/** Whether nothing about a video will change any more. */
export function hasEnded(video) {
  return video.status === "completed" || video.status === "failed";
}

/**
 * The events of a stream, as `{event, data, id}` with data decoded; after an interruption on from the last one. Ends with
 * the signal. By `fetch`, since an EventSource could not send the API key.
 */
export async function* events(api, path, { signal, onLine = () => {} }) {
  let last = "";
  let pause = LEAST_PAUSE;
  while (!signal.aborted) {
    try {
      const headers = { accept: "text/event-stream", ...(last && { "last-event-id": last }) };
      const response = await api.call("GET", path, { signal, headers });
      onLine(null);
      for await (const message of messages(response.body)) {
        pause = LEAST_PAUSE;
        last = message.id || last;
        yield message;
      }
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) onLine(new Problem({ message: "The connection was cut.", code: "no_answer" }));
      else if (problem.passes && problem.status !== 501) onLine(problem);
      else throw problem;
    }
    await sleep(pause, signal);
    pause = Math.min(2 * pause, MOST_PAUSE);
  }
}

async function ask(api, path, { signal, onLine, onVideo, isOver }) {
  let pause = 0;
  while (!isOver() && !signal.aborted) {
    try {
      onVideo(await api.get(path, { signal, query: pause ? { wait: ASK_SECONDS } : {} }));
      onLine(null);
      pause = LEAST_PAUSE;
    } catch (problem) {
      if (signal.aborted) return;
      if (!problem.passes) throw problem;
      onLine(problem);
      pause = Math.min(2 * (pause || LEAST_PAUSE), MOST_PAUSE);
      await sleep(pause, signal);
    }
  }
}

/** The messages of a body, by the rules of Server-Sent Events. */
async function* messages(body) {
  let fields = { event: "message", data: [], id: "" };
  for await (const line of lines(body)) {
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

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
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
