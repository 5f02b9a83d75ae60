/** The models that are served: what each can do, what its acceleration rests on, and what its evaluation found. */

import { lineChart } from "../charts.js";
import { h, show } from "../dom.js";
import { list } from "../facts.js";
import { plural, times } from "../format.js";
import { table } from "../table.js";

const FIRST_FRAME = { none: "not taken", optional: "may be given", required: "must be given" };

export async function mount(root, api, { signal }) {
  const { data } = await api.get("v1/models", { signal });
  show(
    root,
    h("div", { class: "heading" }, h("h1", {}, "Models"), h("p", { class: "hint" }, plural(data.length, "model"))),
    data.map(card),
  );
}

function card(model) {
  return h(
    "article",
    { class: "card" },
    h("h2", {}, model.id, " ", live(model.live_workers)),
    h("div", { class: "columns" }, h("div", {}, facts(model), basis(model)), h("div", {}, evaluation(model))),
    model.expected && curves(model),
  );
}

function live(workers) {
  if (workers === null) return h("span", { class: "badge" }, "Redis cannot be reached");
  return h("span", { class: `badge ${workers ? "completed" : "failed"}` }, workers ? plural(workers, "live worker") : "no live worker");
}

function facts(model) {
  const { defaults, limits } = model;
  const video = model.media === "video";
  return list([
    ["Makes", `${model.media}s, family ${model.family}`],
    ["By default", `${defaults.width}x${defaults.height}${video ? `, ${defaults.frames} frames, ${defaults.fps} fps` : ""}, ${defaults.steps} steps, sf ${defaults.sf}`],
    ["At most", `${limits.max_width}x${limits.max_height}${video ? `, ${limits.max_frames} frames` : ""}, ${limits.max_steps} steps`],
    ["First frame", video ? FIRST_FRAME[model.input_reference] : null],
    ["Method", model.method],
    ["Steps in full", model.sf.full_steps && inFull(model)],
  ]);
}

function inFull({ sf, defaults }) {
  const count = sf.full_steps[sf.default];
  return count && `${count} of ${defaults.steps} at sf ${sf.default}`;
}

function basis(model) {
  if (!model.rests_on.length) {
    return h("p", { class: "notice" }, "Acceleration starts from a prior, as no file of this model was measured; what uncached runs have shown since is in the basis of each result.");
  }
  const rows = model.rests_on.map((each) => [
    `${each.runs} uncached`,
    String(each.steps),
    `2^${each.size_class} pixels`,
    each.guidance ? "yes" : "no",
    each.input_reference ? "yes" : "no",
    { expected: "by expected error", tried: "by whole runs" }[each.plan] ?? "as a run goes",
    each.date,
  ]);
  const columns = ["Runs", { name: "Steps", number: true }, "Size class", "Guidance", "First frame", "Planned", "Measured"];
  return [h("h3", {}, "Acceleration rests on"), table(`What the acceleration of ${model.id} rests on`, columns, rows)];
}

function evaluation(model) {
  const found = model.expected;
  if (!found) {
    return h("p", { class: "hint" }, "Not evaluated: nothing is known of its speed and fidelity. The operator measures both with python -m workers evaluate.");
  }
  return [
    h("h3", {}, "Speed and fidelity"),
    h("p", { class: "hint" }, `${plural(found.prompts, "prompt")} at ${found.size}, ${plural(found.frames, "frame")}, ${found.steps} steps, ${found.date}, compared with uncached runs of the same seeds.`),
    numbers(model, bySf(found)),
  ];
}

/** Each value with its 95 % confidence interval. */
function curves(model) {
  const curve = (name, label) =>
    lineChart({
      label: `${label} over speedup of ${model.id}, with 95 % confidence intervals`,
      x: { label: "times faster", format: times },
      y: { label },
      series: [{ points: bySf(model.expected).map((row) => ({ ...interval(row[name]), x: row.speedup.mean, text: `sf ${row.sf}` })) }],
    });
  return h("div", { class: "charts" }, curve("psnr", "PSNR in dB"), curve("ssim", "SSIM"));
}

function bySf({ sf }) {
  return sf.toSorted((one, other) => one.sf - other.sf);
}

function interval({ mean, low, high }) {
  return { y: mean, low, high };
}

function numbers(model, rows) {
  const lpips = rows.some((row) => row.lpips);
  const columns = ["sf", "In full", "Faster", "PSNR", "SSIM", lpips && "LPIPS"].filter(Boolean);
  const cells = rows.map((row) => [
    String(row.sf),
    row.full_steps.toFixed(1),
    times(row.speedup.mean),
    `${row.psnr.mean.toFixed(1)} dB`,
    row.ssim.mean.toFixed(3),
    ...(lpips ? [row.lpips?.mean.toFixed(3)] : []),
  ]);
  return table(`Speed and fidelity of ${model.id}`, columns.map((name) => ({ name, number: true })), cells);
}
