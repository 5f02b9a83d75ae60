/** The HTTP API of this service, as any other client calls it. */

const KEY = "scalingcache.key";

/** What the API says is wrong, in its own words. status is 0 where no answer came. */
export class Problem extends Error {
  constructor({ message, code, param = null, status = 0, requestId = null, retryAfter = null }) {
    super(message);
    Object.assign(this, { code, param, status, requestId, retryAfter });
  }

  /** Whether the same call can go well later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  /** onKeyNeeded: called with the problem when a call needs an API key, or another one. */
  constructor(onKeyNeeded = () => {}) {
    this.onKeyNeeded = onKeyNeeded;
  }

  /** The key is kept for this tab and until it is closed, nowhere else. */
  get key() {
    return sessionStorage.getItem(KEY);
  }

  set key(value) {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  }

  /** The response to a call, once its headers are there. Raises Problem for any but 2xx; aborts go through. */
  async call(method, path, { query = {}, body, headers = {}, signal } = {}) {
    const response = await this.#send(method, address(path, query), body, headers, signal);
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (signal?.aborted) throw signal.reason;
    if (problem.status === 401) this.onKeyNeeded(problem);
    throw problem;
  }

  get(path, settings) {
    return this.#json("GET", path, settings);
  }

  post(path, body, settings) {
    return this.#json("POST", path, { ...settings, body });
  }

  delete(path, settings) {
    return this.#json("DELETE", path, settings);
  }

  /** A file, with the key: an address alone could not bring one. */
  async file(path, settings) {
    const response = await this.call("GET", path, settings);
    return whole(response.blob());
  }

  async #json(method, path, settings) {
    const response = await this.call(method, path, settings);
    return whole(response.json());
  }

  async #send(method, url, body, headers, signal) {
    const sent = new Headers({ accept: "application/json", ...headers });
    if (this.key) sent.set("authorization", `Bearer ${this.key}`);
    const form = body instanceof FormData;
    if (body !== undefined && !form) sent.set("content-type", "application/json");
    try {
      const content = body === undefined || form ? body : JSON.stringify(body);
      return await fetch(url, { method, headers: sent, body: content, signal, cache: "no-store" });
    } catch (error) {
      throw unanswered(error);
    }
  }
}

/** Whether an id is an image's. */
export function isImage(id) {
  return id.startsWith("image_");
}

/** A video or an image. */
export function jobPath(id) {
  return `v1/${isImage(id) ? "images" : "videos"}/${encodeURIComponent(id)}`;
}

/** Relative to the page, so that it holds behind a proxy's prefix. */
function address(path, query) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

async function whole(reading) {
  try {
    return await reading;
  } catch (error) {
    throw unanswered(error);
  }
}

function unanswered(error) {
  if (error.name === "AbortError") return error;
  return new Problem({ message: "The service did not answer.", code: "no_answer" });
}

async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  const { message = `The service answered ${response.status}.`, code = "http_error", param = null } = told.error ?? {};
  return new Problem({
    message,
    code,
    param,
    status: response.status,
    requestId: response.headers.get("x-request-id"),
    retryAfter: Number(response.headers.get("retry-after")) || null,
  });
}
