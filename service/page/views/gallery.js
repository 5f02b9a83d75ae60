/** The account's own videos and images, the newest first. */

import { actions } from "../actions.js";
import { isImage } from "../api.js";
import { h, options, problemBox, show } from "../dom.js";
import { events, hasEnded } from "../events.js";
import { moment, times } from "../format.js";
import { listing } from "../listing.js";
import { fileUrl, player } from "../player.js";
import { badge } from "./watch.js";

const PAGE = 24;
const MOST = 100;
const SOON = 100;
const STATUSES = [["", "All"], "queued", "in_progress", "completed", "failed"];

export async function mount(root, api, { query, signal }) {
  const models = (await api.get("v1/models", { signal })).data;
  const status = h("select", {}, options(STATUSES, query.get("status") ?? ""));
  const model = h("select", {}, options([["", "All"], ...models.map((each) => each.id)], query.get("model") ?? ""));
  const cards = h("div", { class: "cards" });
  const line = h("div");
  const foot = h("div", { class: "foot" });
  // One and the same while jobs come: another in its place would have neither the focus nor a click that has begun.
  const further = h("button", { type: "button", onclick: () => more().catch(failed) }, "Show more");
  const seen = lazily(signal);
  for (const control of [status, model]) control.addEventListener("change", filter);
  show(
    root,
    h(
      "div",
      { class: "heading" },
      h("h1", {}, "Gallery"),
      h("div", { class: "filters" }, h("label", {}, "Status ", status), h("label", {}, "Model ", model)),
    ),
    line,
    cards,
    foot,
  );
  const shown = new Map();
  const reading = new Set();
  const unplaced = new Map();
  let due;
  const chosen = { status: status.value, model: model.value };
  const media = models.filter((each) => each.id === chosen.model).map((each) => each.media);
  const listed = { query: chosen, limit: PAGE, ...(media.length && { media }) };
  const pages = listing(api, { ...listed, signal });
  await more();
  await goOn();

  function filter() {
    const wanted = Object.entries({ status: status.value, model: model.value }).filter(([, value]) => value);
    location.hash = `#gallery${wanted.length ? "?" : ""}${new URLSearchParams(wanted)}`;
  }

  async function more() {
    show(foot);
    for (const job of await read(pages, PAGE)) if (isWanted(job) && !shown.has(job.id)) cards.append(card(job));
    tellEnd();
  }

  function tellEnd() {
    if (pages.over) show(foot, !shown.size && h("p", { class: "empty" }, "Nothing here. ", h("a", { href: "#create" }, "Make a video or an image.")));
    else if (!further.isConnected) show(foot, further);
  }

  function failed(problem) {
    if (!signal.aborted) show(foot, problemBox(problem));
  }

  function card(job) {
    const told = h("div");
    const screen = h("a", { class: "screen", href: `#watch/${job.id}`, "aria-label": `Watch: ${job.prompt}` });
    const element = h("article", { class: "card", "data-at": job.created_at }, screen, about(job), told);
    const onProblem = (problem) => show(told, problemBox(problem));
    const onChange = (changed) => hear(job.id, changed);
    shown.set(job.id, { element, job });
    element.append(h("details", {}, h("summary", {}, "Settings and actions"), summary(job), actions(api, job, { signal, onChange, onProblem })));
    if (job.status === "completed") seen(screen, () => fill(screen, job).catch(onProblem));
    else show(screen, h("span", { class: "hint" }, hasEnded(job) ? job.error.message : job.state === "queued" ? "waits" : `${job.progress} %`));
    return element;
  }

  /** A picture that the service has of it, and a video itself when it is looked at; else the result at once. */
  async function fill(screen, job) {
    if (!job.variants?.includes("thumbnail")) return play(screen, job);
    const url = await fileUrl(api, job.id, signal, "thumbnail");
    show(screen, h("img", { class: "result", src: url, alt: "" }));
    if (isImage(job.id)) return;
    for (const event of ["pointerenter", "focus"]) {
      screen.addEventListener(event, () => void play(screen, job).catch(() => {}), { once: true });
    }
  }

  async function play(screen, job) {
    if (screen.querySelector("video")) return;
    const image = isImage(job.id);
    const result = player(await fileUrl(api, job.id, signal), { image, text: job.prompt, autoplay: screen.matches(":hover, :focus") });
    if (image) return void show(screen, result);
    result.controls = false;
    result.tabIndex = -1;
    for (const [event, act] of [["pointerenter", "play"], ["focus", "play"], ["pointerleave", "pause"], ["blur", "pause"]]) {
      screen.addEventListener(event, () => void Promise.resolve(result[act]()).catch(() => {}));
    }
    show(screen, result);
  }

  /** What happens to the account's jobs while they are looked at. */
  async function goOn() {
    const onLine = (problem) => {
      show(line, problem && problemBox(problem));
      if (!problem) catchUp().catch(failed);
    };
    for await (const { event, data } of events(api, "v1/events", { signal, onLine })) {
      if (event === "deleted") hear(data.id, null);
      else if (event === "step") tellStep(data);
      else if (event === "video" || event === "image") hear(data.id, data);
    }
  }

  /** What happened before the line was there. */
  async function catchUp() {
    (await read(listing(api, { limit: MOST, signal }), MOST)).reverse().forEach(take);
  }

  /** News of a job, or that it is gone: null. */
  function hear(id, job) {
    for (const heard of reading) heard.set(id, job);
    if (job) take(job);
    else remove(id);
  }

  /** The jobs that follow in a list. Of those that are heard of meanwhile, what is heard: that is newer. */
  async function read(list, count) {
    const heard = new Map();
    reading.add(heard);
    try {
      const jobs = await list.next(count);
      return jobs.map((job) => (heard.has(job.id) ? heard.get(job.id) : job)).filter(Boolean);
    } finally {
      reading.delete(heard);
    }
  }

  function isWanted(job) {
    return (!chosen.status || chosen.status === job.status) && (!chosen.model || chosen.model === job.model);
  }

  function take(job) {
    if (!isWanted(job)) return remove(job.id);
    if (shown.has(job.id)) return redraw(job);
    if (pages.over || !sharesSecond(job)) return put(job);
    unplaced.set(job.id, job);
    due ??= setTimeout(place, SOON); // Once for all that come at about the same time.
  }

  /** Whether time, in whole seconds, does not tell where a job belongs. */
  function sharesSecond(job) {
    return [...cards.children].some(({ dataset: { at } }) => Number(at) === job.created_at);
  }

  /** Those of which time does not tell it, as the list has them; what follows all that are shown comes with a later page. */
  async function place() {
    const jobs = [...unplaced.values()];
    unplaced.clear();
    due = undefined;
    try {
      const list = await read(listing(api, { ...listed, signal }), shown.size + jobs.length);
      for (const [at, job] of [...list.entries()].reverse()) {
        const next = list.slice(at + 1).find((each) => shown.has(each.id));
        if (next && isWanted(job) && !shown.has(job.id)) shown.get(next.id).element.before(card(job));
      }
      tellEnd();
    } catch {
      if (!signal.aborted) jobs.filter((job) => !shown.has(job.id)).forEach(put); // Better a card too far up than none.
    }
  }

  /** In its place by time; what is older than all that are shown comes with a later page. */
  function put(job) {
    const next = [...cards.children].find(({ dataset: { at } }) => Number(at) <= job.created_at);
    if (next) next.before(card(job));
    else if (pages.over) cards.append(card(job));
    tellEnd();
  }

  function redraw(job) {
    const before = shown.get(job.id);
    if (before.job.state === job.state || hasEnded(before.job)) return;
    const open = before.element.querySelector("details").open;
    const after = card(job);
    after.querySelector("details").open = open;
    const focused = before.element.contains(document.activeElement) && nameOf(document.activeElement);
    before.element.replaceWith(after);
    if (!focused) return;
    const same = [...after.querySelectorAll("a, button")].find((each) => nameOf(each) === focused);
    (same ?? after.querySelector("summary")).focus({ preventScroll: true });
  }

  function remove(id) {
    unplaced.delete(id);
    shown.get(id)?.element.remove();
    if (shown.delete(id)) tellEnd();
  }

  function tellStep({ id, progress }) {
    const found = shown.get(id);
    if (found?.job.state === "running") show(found.element.querySelector(".screen"), h("span", { class: "hint" }, `${progress} %`));
  }
}

/** What a link or a button is called. */
function nameOf(element) {
  return element.ariaLabel ?? element.textContent;
}

function about(job) {
  const faster = job.engaged ? `, ${times(job.speedup.measured)} faster` : "";
  return [
    h("h2", {}, h("a", { href: `#watch/${job.id}` }, job.prompt || "no prompt")),
    h("p", { class: "hint" }, badge(job), ` ${job.model}, sf ${job.sf}${faster}, ${moment(job.created_at)}`),
  ];
}

function summary(job) {
  const { size, frames, steps, guidance, seed } = job;
  return h("p", { class: "hint" }, `${size}, ${frames ? `${frames} frames, ` : ""}${steps} steps, guidance ${guidance}, seed ${seed}`);
}

/** Calls back once when an element is about to be seen. */
function lazily(signal) {
  const waiting = new Map();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
        observer.unobserve(target);
        waiting.get(target)();
        waiting.delete(target);
      }
    },
    { rootMargin: "200px" },
  );
  signal.addEventListener("abort", () => observer.disconnect());
  return (element, callback) => {
    waiting.set(element, callback);
    observer.observe(element);
  };
}
