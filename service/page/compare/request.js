/** One prompt and seed at two to four settings: the form, and the jobs that it makes. */

import { withFile } from "../create/body.js";
import { firstFrame } from "../create/first_frame.js";
import { field, h, options, show } from "../dom.js";
import { times } from "../format.js";

const LEAST = 2;
export const MOST = 4;
const SEEDS = 2 ** 32;

/** onMade: called with the ids of the jobs; of images once they are made. */
export function request(models, api, { signal, onMade, onProblem, onProgress }) {
  const model = h("select", {}, options(models.map(({ id, media }) => [id, `${id} (${media}s)`])));
  const prompt = h("textarea", { rows: 3, required: true, maxlength: 32000 });
  const seed = h("input", { type: "number", min: 0, max: SEEDS - 1, required: true, value: Math.floor(Math.random() * SEEDS) });
  const frame = firstFrame(signal, () => judge());
  const choices = h("div", { class: "choices" });
  const told = h("p", { class: "hint", role: "status" });
  const button = h("button", { type: "submit", class: "primary" }, "Make and compare");
  const chosen = () => models.find(({ id }) => id === model.value);
  const ticked = () => [...choices.querySelectorAll("input:checked")].map(({ value }) => Number(value));

  function draw() {
    frame.ask(chosen().input_reference);
    show(choices, settings(chosen()).map(({ sf, text, usual }) => h("label", {}, h("input", { type: "checkbox", value: sf, checked: usual }), ` ${text}`)));
    judge();
  }

  function judge() {
    const count = ticked().length;
    const wrong = count < LEAST || count > MOST;
    const missing = frame.required && !frame.file;
    button.disabled = wrong || missing;
    show(told, `${count} chosen; two to four are compared.${missing ? " The first frame is missing." : ""}`);
  }

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      const shared = { model: model.value, prompt: prompt.value.trim(), seed: Number(seed.value) };
      const bodies = ticked().map((sf) => withFile({ ...shared, sf }, frame.file));
      onMade(await made(api, chosen().media, bodies, { signal, onProgress }));
    } catch (problem) {
      if (!signal.aborted) onProblem(problem);
    } finally {
      button.disabled = false;
    }
  }

  model.addEventListener("change", draw);
  choices.addEventListener("change", judge);
  draw();
  return h(
    "form",
    { class: "card", onsubmit: submit },
    h("h2", {}, "One prompt, several settings"),
    h("div", { class: "row" }, field("Model", model), field("Seed", seed, "The same for all, so that nothing else differs.")),
    field("Prompt", prompt),
    frame.element,
    h("fieldset", {}, h("legend", {}, "Settings"), choices, told),
    h("div", { class: "actions" }, button),
  );
}

/** What can be ticked: uncached, the default, and what the model's evaluation has. */
export function settings({ defaults, sf, expected }) {
  const { steps } = defaults;
  const found = new Map((expected?.sf ?? []).map((row) => [row.sf, row]));
  const values = [...new Set([sf.default, ...found.keys()])].filter((each) => each < steps).sort((one, other) => one - other);
  const text = (each) => {
    const row = found.get(each);
    const full = sf.full_steps?.[each];
    return [`sf ${each}`, full && `${full} of ${steps} steps`, row && `${times(row.speedup.mean)} faster`].filter(Boolean).join(", ");
  };
  return [{ sf: steps, text: `uncached, ${steps} steps`, usual: true }, ...values.map((each) => ({ sf: each, text: text(each), usual: each === sf.default }))];
}

/** A video that cannot be made takes those before it along; nobody waits for half a comparison. */
async function made(api, media, bodies, { signal, onProgress }) {
  if (media === "image") {
    onProgress("The images are being made …");
    const all = new AbortController();
    const either = AbortSignal.any([signal, all.signal]);
    const call = (body) => api.post("v1/images/generations", { ...body, response_format: "url" }, { signal: either });
    try {
      return (await Promise.all(bodies.map(call))).map(({ data: [image] }) => image.id);
    } catch (problem) {
      all.abort(); // A client that leaves takes its images along.
      throw problem;
    }
  }
  const ids = [];
  try {
    for (const body of bodies) ids.push((await api.post("v1/videos", body, { signal })).id);
  } catch (problem) {
    await Promise.allSettled(ids.map((id) => api.post(`v1/videos/${id}/cancel`)));
    throw problem;
  }
  return ids;
}
