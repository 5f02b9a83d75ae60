/** A new study: of one model's finished results, those with the settings that are ticked. */

import { isImage } from "../api.js";
import { field, h, options, show } from "../dom.js";
import { plural } from "../format.js";

const MOST_IDS = 200;

/** found: scenes. onMade: called with the study. */
export function newStudy(found, api, { signal, onMade, onProblem }) {
  const models = [...new Set(found.map(({ model }) => model))];
  if (!models.length) return h("p", { class: "notice" }, "A study compares finished results of one prompt and seed that were made with several settings. There are none: ", h("a", { href: "#compare" }, "make some."));
  const name = h("input", { required: true, maxlength: 120, value: "Which one is better?" });
  const model = h("select", {}, options(models));
  const choices = h("div", { class: "choices" });
  const told = h("p", { class: "hint", role: "status" });
  const button = h("button", { type: "submit", class: "primary" }, "Make the study");
  const ticked = () => new Set([...choices.querySelectorAll("input:checked")].map(({ value }) => value));

  const ofModel = () => found.filter((scene) => scene.model === model.value);
  const noun = () => (isImage(ofModel()[0].results[0].id) ? "image" : "video");

  function draw() {
    const counts = new Map();
    for (const { setting } of ofModel().flatMap(({ results }) => results)) counts.set(setting, (counts.get(setting) ?? 0) + 1);
    show(choices, [...counts].map(([setting, count]) => h("label", {}, h("input", { type: "checkbox", value: setting, checked: true }), `${setting}: ${plural(count, noun())}`)));
    judge();
  }

  function judge() {
    const { ids, pairs, left } = chosen(found, model.value, ticked());
    button.disabled = !pairs;
    const rest = left ? `; ${plural(left, "prompt")} beyond the ${MOST_IDS} ${noun()}s of a study left out` : "";
    show(told, `${plural(pairs, "pair")} of ${plural(ids.length, noun())}${rest}`);
  }

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      const { ids } = chosen(found, model.value, ticked());
      onMade(await api.post("v1/studies", { name: name.value.trim(), ids }, { signal }));
    } catch (problem) {
      if (!signal.aborted) onProblem(problem);
      button.disabled = false;
    }
  }

  model.addEventListener("change", draw);
  choices.addEventListener("change", judge);
  draw();
  return h(
    "form",
    { class: "card", onsubmit: submit },
    h("h2", {}, "New study"),
    h("div", { class: "row" }, field("Name", name, "Participants see it: it should not name settings."), field("Model", model)),
    h("fieldset", {}, h("legend", {}, "Settings"), choices, told),
    h("div", { class: "actions" }, button),
  );
}

/** The results of a study: of each scene those with these settings, where there are two or more of them. */
export function chosen(found, model, settings) {
  const ids = [];
  let pairs = 0;
  let left = 0;
  for (const { results } of found.filter((scene) => scene.model === model)) {
    const taken = results.filter(({ setting }) => settings.has(setting));
    if (taken.length < 2) continue;
    if (ids.length + taken.length > MOST_IDS) {
      left += 1;
      continue;
    }
    ids.push(...taken.map(({ id }) => id));
    pairs += taken.length - 1;
  }
  return { ids, pairs, left };
}
