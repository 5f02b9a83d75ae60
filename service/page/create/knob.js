/** The speed knob: for each position what it costs and what it brings. */

import { h, show } from "../dom.js";
import { decibels, duration, plural, times } from "../format.js";
import { legend, strip } from "../strip.js";
import { expected, source } from "./expected.js";

/** onInput: called when it was moved. `sf` is its position; `fit(model, state)` its range, `tell(model, state, estimate)` its meaning. */
export function knob(onInput) {
  const slider = h("input", { type: "range", id: "sf", step: 1, oninput: () => onInput() });
  const number = h("output", { for: "sf", class: "sf" });
  const ends = h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, "fastest"), h("span", {}, "uncached"));
  const figures = h("dl", { class: "figures" });
  const steps = strip();
  const note = h("p", { class: "hint" });
  const element = h(
    "div",
    { class: "knob" },
    h("div", { class: "knob-title" }, h("label", { for: "sf" }, "Speed knob ", h("code", {}, "sf")), number),
    slider,
    ends,
    figures,
    steps.element,
    legend(),
    note,
  );

  function fit(model, state) {
    slider.min = model.sf.minimum;
    slider.max = state.steps;
    slider.value = state.sf;
  }

  function tell(model, state, estimate) {
    const full = fullSteps(model, state, estimate);
    const size = `${state.width}x${state.height}`;
    const found = full === null || full === state.steps ? null : expected(model.expected, full);
    number.textContent = state.sf >= state.steps ? `${state.sf}: uncached` : String(state.sf);
    slider.setAttribute("aria-valuetext", spoken(state, full));
    show(figures, tiles(state, full, found, estimate));
    steps.update({ steps: state.steps, kinds: estimate?.decisions ?? (full === state.steps ? "F".repeat(full) : "") });
    show(note, full === state.steps ? "The plain pipeline, bit for bit." : source(model.expected, found, { ...state, size }));
  }

  return { element, fit, tell, get sf() { return Number(slider.value); } };
}

/** How many steps are computed in full, where it can be told: as the service says, or for the default steps at once. */
function fullSteps(model, state, estimate) {
  if (state.sf >= state.steps) return state.steps;
  if (estimate) return estimate.full_steps;
  return state.steps === model.defaults.steps ? (model.sf.full_steps?.[state.sf] ?? null) : null;
}

function tiles(state, full, found, estimate) {
  const known = full !== null;
  const speed = found ? times(found.speedup) : known ? times(state.steps / full) : "–";
  const range = found?.range ? `95 %: ${times(found.range.low)} to ${times(found.range.high)}` : "of denoising";
  const uncached = full === state.steps;
  return [
    tile("Steps in full", known ? String(full) : "–", `of ${state.steps}`),
    tile("Speedup", uncached ? "1×" : speed, uncached ? "the reference" : range),
    tile("Fidelity", uncached ? "exact" : found ? decibels(found.psnr) : "–", fidelity(found, uncached, estimate)),
    tile("Time", estimate?.run_seconds ? duration(estimate.run_seconds) : "–", waiting(estimate)),
  ];
}

function fidelity(found, uncached, estimate) {
  if (uncached) return "the reference";
  if (found) return `PSNR to uncached, SSIM ${found.ssim.toFixed(3)}`;
  return estimate?.expected_snr ? `latents: ${decibels(estimate.expected_snr)} SNR` : "not measured";
}

function waiting(estimate) {
  if (!estimate) return "being estimated";
  if (!estimate.live_workers) return "no worker serves it now";
  if (estimate.queue_position) return `${plural(estimate.queue_position, "job")} before it${estimate.queued_seconds ? `: ${duration(estimate.queued_seconds)}` : ""}`;
  if (!estimate.measured_jobs) return "none was made yet";
  return `as ${plural(estimate.measured_jobs, "job")}${estimate.measured_at_this_size ? "" : " of another size"} took`;
}

function tile(name, value, below) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, h("strong", {}, value), h("span", { class: "hint" }, below)));
}

function spoken(state, full) {
  if (full === null) return `sf ${state.sf}`;
  return full === state.steps ? `sf ${state.sf}, uncached` : `sf ${state.sf}, ${full} of ${state.steps} steps in full`;
}
