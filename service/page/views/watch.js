/** One video or image: how it comes into being, and what it has become. */

import { actions } from "../actions.js";
import { isImage } from "../api.js";
import { h, problemBox, show } from "../dom.js";
import { follow, hasEnded } from "../events.js";
import { outcome, settings } from "../facts.js";
import { duration, plural } from "../format.js";
import { fileUrl, player } from "../player.js";
import { legend, strip } from "../strip.js";

/** What is known of an attempt's steps before it tells of any. */
const nothing = () => ({ kinds: [], done: 0, eta: null });

export function mount(root, api, { argument: id, signal }) {
  const steps = strip();
  const kind = isImage(id) ? "image" : "video";
  const title = h("h1", {}, kind === "image" ? "Image" : "Video");
  const parts = Object.fromEntries(
    ["status", "line", "screen", "told", "buttons", "outcome", "settings"].map((name) => [name, h("div", { class: name })]),
  );
  const seen = { ...nothing(), job: null };

  async function onJob(job) {
    const before = seen.job;
    seen.job = job;
    if (before && (job.state === "queued" || job.attempts !== before.attempts)) beginAnew();
    seen.kinds = [...(job.decisions ?? seen.kinds)];
    if (job.prompt) title.textContent = job.prompt;
    show(parts.status, badge(job));
    show(parts.settings, settings(job));
    show(parts.told, job.error && problemBox(job.error));
    if (!before) lay(job);
    if (before?.status !== job.status) show(parts.buttons, actions(api, job, { signal, onChange, onProblem }));
    drawSteps();
    if (job.status === "completed" && before?.status !== "completed") await play(job);
  }

  /** What an earlier attempt has told is not of this one. */
  function beginAnew() {
    Object.assign(seen, nothing());
    show(parts.screen);
  }

  function lay(job) {
    parts.screen.style.aspectRatio = job.size.replace("x", "/");
    show(
      root,
      h("div", { class: "heading" }, title, parts.status),
      h(
        "div",
        { class: "columns" },
        h("div", { class: "card" }, parts.screen, steps.element, legend(), parts.line, parts.told, parts.buttons),
        h("div", {}, parts.outcome, h("div", { class: "card" }, h("h2", {}, "Settings"), parts.settings)),
      ),
    );
  }

  function onStep(step) {
    if (step.kind) seen.kinds[step.step - 1] = step.kind === "full" ? "F" : "P";
    seen.done = Math.max(seen.done, step.step);
    seen.eta = step.eta_seconds;
    drawSteps();
  }

  function drawSteps() {
    const { job } = seen;
    const done = Math.max(seen.done, Math.floor((job.progress * job.steps) / 100));
    const kinds = Array.from(seen.kinds, (kind) => kind ?? "?").join("");
    const ended = job.status === "completed";
    steps.update({ steps: job.steps, kinds, done: ended ? job.steps : done, added: job.added_steps ?? [] });
    show(parts.line, progressLine(job, done, seen.eta ?? job.eta_seconds));
  }

  function onPreview({ image }) {
    if (seen.job?.status === "completed") return;
    show(parts.screen, h("img", { class: "result preview", src: image, alt: `What the ${kind} is like so far` }));
  }

  async function play(job) {
    show(parts.outcome, h("div", { class: "card" }, h("h2", {}, "Result"), outcome(job)));
    const url = await fileUrl(api, job.id, signal);
    show(parts.screen, player(url, { image: kind === "image", text: job.prompt }));
  }

  function onChange(job) {
    if (job === null) location.hash = "#gallery";
    else if (hasEnded(job)) onJob(job);
  }

  const onProblem = (problem) => show(parts.told, problemBox(problem));
  const onLine = (problem) => show(parts.told.isConnected ? parts.told : root, problem && problemBox(problem));
  return follow(api, id, { signal, onJob: (job) => void onJob(job).catch(onProblem), onStep, onPreview, onLine });
}

/** The state of a job in a word. */
export function badge(job) {
  const words = { queued: "queued", running: "running", completed: "completed", cancelled: "cancelled" };
  return h("span", { class: `badge ${job.state}` }, words[job.state] ?? "failed");
}

function progressLine(job, done, eta) {
  if (job.state === "queued") {
    const { queue_position: ahead } = job;
    const place = ahead ? `${plural(ahead, "job")} before it` : "Next to start";
    if (job.eta_reason === "no_worker") return `${place}, once a worker takes jobs of its model`;
    return job.eta_seconds === null ? place : `${place}; done in about ${duration(job.eta_seconds)}`;
  }
  if (job.state !== "running") return "";
  const left = eta === null || eta === undefined ? "" : `, about ${duration(eta)} left`;
  return done < job.steps ? `Step ${done} of ${job.steps}${left}` : `All ${job.steps} steps done; its file is being made`;
}
