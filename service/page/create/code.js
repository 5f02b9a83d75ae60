/** The request as code, to be copied. */

import { copy, h, show } from "../dom.js";
import { SNIPPETS } from "./snippets.js";

/** `update(model, fields, file)` writes it anew. */
export function code(api) {
  const text = h("pre", { tabindex: 0, "aria-label": "The request as code" });
  const names = Object.keys(SNIPPETS);
  let chosen = names[0];
  let last = null;
  const tabs = names.map((name) => h("button", { type: "button", class: "tab", onclick: () => choose(name) }, name));
  const copying = h("button", { type: "button", onclick: () => copy(text.textContent) }, "Copy");
  const element = h("div", { class: "card code" }, h("div", { class: "heading" }, h("h2", {}, "As code"), h("div", { class: "tabs" }, tabs, copying)), text);

  function choose(name) {
    chosen = name;
    draw();
  }

  function draw() {
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.textContent === chosen));
    if (last) show(text, SNIPPETS[chosen](...last, Boolean(api.key)));
  }

  draw();
  return {
    element,
    update(model, fields, file) {
      last = [model, fields, file?.name];
      draw();
    },
  };
}
