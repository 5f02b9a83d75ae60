/** A new video or image, with the knob set by what it brings. */

import { jobPath } from "../api.js";
import { body, callOf, estimateOf, withFile } from "../create/body.js";
import { code } from "../create/code.js";
import { firstFrame } from "../create/first_frame.js";
import { form } from "../create/form.js";
import { knob } from "../create/knob.js";
import { pictures } from "../create/pictures.js";
import { h, problemBox, show } from "../dom.js";

const PAUSE = 300;
/** When to ask once more where no worker had time to count tokens. */
const LATER = 2000;

export async function mount(root, api, { query, signal }) {
  const models = (await api.get("v1/models", { signal })).data;
  if (!models.length) {
    show(root, h("p", { class: "empty" }, "This service serves no model."));
    return;
  }
  const fields = form(models);
  const slider = knob(changed);
  const frame = firstFrame(signal, changed);
  const snippets = code(api);
  const told = h("div");
  const made = h("div");
  const submit = h("button", { type: "submit", class: "primary wide" });
  let estimating = new AbortController();
  let estimate = null;
  let attempt = null;
  let isByEstimate = true; // what is told: no estimate takes back what making it has told

  fields.element.append(frame.element);
  show(
    root,
    h("div", { class: "heading" }, h("h1", {}, "Create")),
    h(
      "form",
      { class: "columns", onsubmit: generate, oninput: changed },
      h("div", { class: "card" }, fields.element),
      h("div", { class: "card" }, slider.element, told, submit),
    ),
    made,
    snippets.element,
  );
  fields.element.querySelector("select").addEventListener("change", () => fit());
  await fill();

  /** As another one was made, where the address names it. */
  async function fill() {
    const source = query.get("from");
    if (!source) return fit(Object.fromEntries(query));
    const made = await api.get(jobPath(source), { signal });
    fields.choose(made.model);
    const [width, height] = made.size.split("x").map(Number);
    return fit({ ...made, width, height });
  }

  function fit(given = {}) {
    if (given.model) fields.choose(given.model);
    fields.fit(given);
    const { model } = fields;
    frame.ask(model.input_reference, given.input_reference && "That video began with a picture, which has to be given here once more. Re-run and Remix keep it.");
    submit.textContent = model.media === "image" ? "Make the image" : "Make the video";
    slider.fit(model, { ...fields.state(), sf: Number(given.sf ?? model.defaults.sf) });
    changed();
  }

  function state() {
    const said = fields.state();
    return { ...said, sf: Math.min(slider.sf, said.steps ?? slider.sf) };
  }

  function changed(event) {
    if (event?.target.name === "steps" && event.target.value) slider.fit(fields.model, { ...state(), sf: slider.sf });
    estimate = null;
    if (!isByEstimate) tellProblem(null);
    if (!fields.counted) fields.tellLength(); // A count stays until there is another one.
    tell();
    estimating.abort();
    estimating = new AbortController();
    setTimeout(ask, PAUSE, estimating.signal);
  }

  function tell() {
    slider.tell(fields.model, state(), estimate);
    snippets.update(fields.model, body(fields.model, state()), frame.file);
  }

  /** What the service says of it, where it can be asked: not without a first frame that must be. */
  async function ask(latest, isFirst = true) {
    const { model } = fields;
    if (latest.aborted || signal.aborted) return;
    if (frame.required && !frame.file) return fields.tellLength();
    const asked = { ...body(model, state()), prompt: state().prompt || "-" };
    try {
      estimate = await api.post(estimateOf(model), withFile(asked, frame.file), { signal: latest });
      if (isByEstimate) tellProblem(null);
      fields.tellLength(state().prompt ? estimate : null);
      if (isFirst && estimate.live_workers && estimate.prompt_tokens === null) setTimeout(ask, LATER, latest, false);
      tell();
    } catch (problem) {
      if (latest.aborted || signal.aborted) return;
      fields.tellLength();
      if (isByEstimate) tellProblem(problem);
    }
  }

  function tellProblem(problem, byEstimate = true) {
    isByEstimate = byEstimate;
    show(told, problem && problemBox(problem));
  }

  async function generate(event) {
    event.preventDefault();
    const { model } = fields;
    const chosen = body(model, state());
    submit.disabled = true;
    tellProblem(null);
    try {
      if (model.media === "image") await pictures(made, api, callOf(model), chosen, signal);
      else location.hash = `#watch/${(await create(chosen)).id}`;
    } catch (problem) {
      if (!signal.aborted) tellProblem(problem, false);
    } finally {
      submit.disabled = false;
    }
  }

  /** The same key for the same form until it was answered: what was taken and not told is not made twice. */
  async function create(chosen) {
    const what = JSON.stringify(chosen) + (frame.file?.name ?? "");
    if (attempt?.what !== what) attempt = { what, key: random() };
    const video = await api.post("v1/videos", withFile(chosen, frame.file), { signal, headers: { "idempotency-key": attempt.key } });
    attempt = null;
    return video;
  }
}

function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
