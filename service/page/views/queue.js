/** The whole system at a glance, for its operator. */

import { h, problemBox, show } from "../dom.js";
import { duration, plural } from "../format.js";
import { table } from "../table.js";

const PAUSE = 2000;
const NUMBER = (name) => ({ name, number: true });

export async function mount(root, api, { signal }) {
  const when = h("p", { class: "hint" });
  const content = h("div");
  show(root, h("div", { class: "heading" }, h("h1", {}, "Queue"), when), content);
  while (!signal.aborted) {
    try {
      const status = await api.get("v1/status", { signal });
      show(when, `as of ${new Date().toLocaleTimeString()}`);
      keepingScroll(content, () => show(content, drawn(status)));
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.status === 403) return void show(content, forOperators(problem));
      if (!problem.passes) throw problem;
      show(when, problemBox(problem));
    }
    await pause(signal);
  }
}

function forOperators(problem) {
  return h(
    "div",
    { class: "notice" },
    h("p", {}, "This view is the operator's: it shows the jobs of all accounts, and needs an API key with the scope admin."),
    h("p", {}, `The service says: ${problem.message}.`),
    h("p", {}, "Your own jobs are in the ", h("a", { href: "#gallery" }, "gallery"), "."),
  );
}

function drawn(status) {
  return [
    !status.persisting && h("p", { class: "notice", role: "alert" }, "Redis does not persist: a restart would lose accepted jobs."),
    section("Queues", table("Queues", ["Model", NUMBER("Workers"), NUMBER("Waiting"), NUMBER("Running"), NUMBER("Oldest waits")], status.queues.map(queue))),
    section("Workers", table("Workers", ["Name", "State", "Models", "Job", NUMBER("Heard")], status.workers.map(worker), "no live worker: jobs wait until one comes")),
    section("Running", table("Running jobs", ["Job", "Stage", "Progress", NUMBER("sf"), NUMBER("For"), NUMBER("Attempt")], status.running.map(running), "nothing runs")),
    section("Failed last", table("Jobs that failed last", ["Job", "Ended", "Why", NUMBER("Attempts")], status.failures.map(failure), "none failed")),
  ];
}

function section(title, content) {
  return h("section", { class: "card" }, h("h2", {}, title), content);
}

function queue(each) {
  const workers = each.workers ? String(each.workers) : h("span", { class: "badge failed" }, "none");
  return [each.model, workers, String(each.queued), String(each.running), each.queued ? duration(each.oldest_seconds) : null];
}

function worker(each) {
  const troubles = [each.doing, each.problem, ...Object.entries(each.problems).map(([model, why]) => `${model}: ${why}`)].filter(Boolean);
  const loaded = Object.entries(each.serves).map(([model, switches]) => `${model} (${switches})`);
  return [
    each.name,
    [h("span", { class: `badge ${each.state === "failed" ? "failed" : each.state === "idle" ? "completed" : "running"}` }, each.state), troubles.map((text) => h("p", { class: "hint" }, text))],
    (loaded.length ? loaded : each.models).join(", ") || null,
    each.job && h("code", {}, each.job),
    `${Math.round(each.heartbeat_age_seconds)} s ago`,
  ];
}

function running(job) {
  const progress = h("progress", { max: job.steps, value: job.step, "aria-label": `step ${job.step} of ${job.steps}` });
  return [h("code", {}, job.id), job.stage, [progress, ` ${job.step}/${job.steps}`], String(job.sf), duration(job.seconds), String(job.attempts)];
}

function failure(job) {
  return [h("code", {}, job.id), `${job.state} ${duration(job.seconds)} ago`, [job.code, job.message].filter(Boolean).join(": "), plural(job.attempts, "attempt")];
}

/** Tables that are wider than the screen stay where they were scrolled to, and so does the focus. */
function keepingScroll(content, draw) {
  const regions = () => [...content.querySelectorAll(".scroll")];
  const before = regions().map((each) => [each.scrollLeft, each === document.activeElement]);
  draw();
  regions().forEach((each, index) => {
    const [left, focused] = before[index] ?? [0, false];
    each.scrollLeft = left;
    if (focused) each.focus({ preventScroll: true });
  });
}

function pause(signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PAUSE);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
