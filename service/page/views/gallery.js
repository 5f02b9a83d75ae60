/** The account's own videos, the newest first. */

import { actions } from "../actions.js";
import { h, options, problemBox, show } from "../dom.js";
import { events, hasEnded } from "../events.js";
import { moment, times } from "../format.js";
import { fileUrl, player } from "../player.js";
import { badge } from "./watch.js";

const PAGE = 24;
const MOST = 100;
const STATUSES = [["", "All"], "queued", "in_progress", "completed", "failed"];

export async function mount(root, api, { query, signal }) {
  const models = (await api.get("v1/models", { signal })).data.filter((model) => model.media === "video");
  const status = h("select", {}, options(STATUSES, query.get("status") ?? ""));
  const model = h("select", {}, options([["", "All"], ...models.map((each) => each.id)], query.get("model") ?? ""));
  const cards = h("div", { class: "cards" });
  const line = h("div");
  const foot = h("div", { class: "foot" });
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
  let newest = 0;
  let whole = false;
  await more();
  await goOn();

  function filter() {
    const chosen = Object.entries({ status: status.value, model: model.value }).filter(([, value]) => value);
    location.hash = `#gallery${chosen.length ? "?" : ""}${new URLSearchParams(chosen)}`;
  }

  async function more(after) {
    show(foot);
    const asked = { limit: PAGE, after, status: status.value, model: model.value };
    const page = await api.get("v1/videos", { signal, query: asked });
    cards.append(...page.data.filter((video) => !shown.has(video.id)).map(card));
    newest = Math.max(newest, ...page.data.map((video) => video.created_at));
    whole = !page.has_more;
    if (!cards.childElementCount) show(foot, h("p", { class: "empty" }, "Nothing here yet. ", h("a", { href: "#create" }, "Make a video.")));
    if (page.has_more) show(foot, h("button", { type: "button", onclick: () => more(page.last_id).catch(failed) }, "Show more"));
  }

  function failed(problem) {
    if (!signal.aborted) show(foot, problemBox(problem));
  }

  function card(video) {
    const told = h("div");
    const screen = h("a", { class: "screen", href: `#watch/${video.id}`, "aria-label": `Watch: ${video.prompt}` });
    const element = h("article", { class: "card" }, screen, about(video), told);
    const onProblem = (problem) => show(told, problemBox(problem));
    const onChange = (changed) => (changed ? redraw(changed) : remove(video.id));
    shown.set(video.id, { element, video });
    element.append(h("details", {}, h("summary", {}, "Settings and actions"), summary(video), actions(api, video, { signal, onChange, onProblem })));
    if (video.status === "completed") seen(screen, () => fill(screen, video).catch(onProblem));
    else show(screen, h("span", { class: "hint" }, hasEnded(video) ? video.error.message : video.state === "queued" ? "waits" : `${video.progress} %`));
    return element;
  }

  /** A picture that the service has of it, and the video itself when it is looked at; else the video at once. */
  async function fill(screen, video) {
    if (!video.variants?.includes("thumbnail")) return play(screen, video);
    const url = await fileUrl(api, video.id, signal, "thumbnail");
    show(screen, h("img", { class: "result", src: url, alt: "" }));
    for (const event of ["pointerenter", "focus"]) {
      screen.addEventListener(event, () => void play(screen, video).catch(() => {}), { once: true });
    }
  }

  async function play(screen, video) {
    if (screen.querySelector("video")) return;
    const result = player(await fileUrl(api, video.id, signal), { text: video.prompt, autoplay: screen.matches(":hover, :focus") });
    result.controls = false;
    result.tabIndex = -1;
    for (const [event, act] of [["pointerenter", "play"], ["focus", "play"], ["pointerleave", "pause"], ["blur", "pause"]]) {
      screen.addEventListener(event, () => void Promise.resolve(result[act]()).catch(() => {}));
    }
    show(screen, result);
  }

  /** What happens to the account's jobs while they are looked at. */
  async function goOn() {
    const onLine = (problem) => (problem ? show(line, problemBox(problem)) : catchUp().catch(failed));
    for await (const { event, data } of events(api, "v1/events", { signal, onLine })) {
      if (event === "deleted") remove(data.id);
      else if (event === "step") tellStep(data);
      else if (event === "video") take(data);
    }
  }

  /** What happened before the line was there. */
  async function catchUp() {
    show(line);
    const { data } = await api.get("v1/videos", { signal, query: { limit: MOST } });
    data.reverse().forEach(take);
  }

  /** A new one comes first; an older one has its place on a page to come. Times are whole seconds. */
  function take(video) {
    const wanted = (!status.value || status.value === video.status) && (!model.value || model.value === video.model);
    const isNew = video.created_at > newest || (whole && video.created_at === newest);
    if (shown.has(video.id)) redraw(video);
    else if (wanted && isNew) {
      newest = video.created_at;
      cards.prepend(card(video));
      root.querySelector(".empty")?.remove();
    }
  }

  function redraw(video) {
    const before = shown.get(video.id);
    if (before.video.state === video.state || hasEnded(before.video)) return;
    const open = before.element.querySelector("details").open;
    const after = card(video);
    after.querySelector("details").open = open;
    before.element.replaceWith(after);
  }

  function remove(id) {
    shown.get(id)?.element.remove();
    shown.delete(id);
  }

  function tellStep({ id, progress }) {
    const found = shown.get(id);
    if (found?.video.state === "running") show(found.element.querySelector(".screen"), h("span", { class: "hint" }, `${progress} %`));
  }
}

function about(video) {
  const faster = video.engaged ? `, ${times(video.speedup.measured)} faster` : "";
  return [
    h("h2", {}, h("a", { href: `#watch/${video.id}` }, video.prompt || "no prompt")),
    h("p", { class: "hint" }, badge(video), ` ${video.model}, sf ${video.sf}${faster}, ${moment(video.created_at)}`),
  ];
}

function summary(video) {
  const { size, frames, steps, guidance, seed } = video;
  return h("p", { class: "hint" }, `${size}, ${frames} frames, ${steps} steps, guidance ${guidance}, seed ${seed}`);
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
