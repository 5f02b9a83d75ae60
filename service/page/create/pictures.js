/** Images that a call waits for, and what they were like. */

import { h, show } from "../dom.js";
import { outcome } from "../facts.js";
import { duration } from "../format.js";
import { download, player } from "../player.js";
import { legend, strip } from "../strip.js";

/** Ask for images and show them in an element. Raises Problem; leaving the view cancels what is not made yet. */
export async function pictures(element, api, path, body, signal) {
  const began = Date.now();
  const line = h("span", { role: "status" }, "Being made; who leaves this view cancels it");
  const time = h("span"); // outside of what is spoken when it changes
  const clock = setInterval(() => show(time, ` (${duration((Date.now() - began) / 1000)})`), 1000);
  show(element, h("div", { class: "card" }, h("p", { class: "line" }, line, time)));
  try {
    const answer = await api.post(path, { ...body, response_format: "b64_json" }, { signal });
    show(element, answer.data.map((image) => card(image, answer)));
  } catch (problem) {
    show(element);
    throw problem;
  } finally {
    clearInterval(clock);
  }
}

function card(image, { steps, prompt }) {
  const url = `data:image/png;base64,${image.b64_json}`;
  const drawn = strip();
  drawn.update({ steps, kinds: image.decisions, added: image.added_steps ?? [] });
  return h(
    "div",
    { class: "columns made" },
    h("div", { class: "card" }, player(url, { image: true, text: prompt }), drawn.element, legend()),
    h(
      "div",
      { class: "card" },
      h("h2", {}, "Result"),
      outcome(image),
      h("div", { class: "actions" }, h("button", { type: "button", class: "primary", onclick: () => download(url, image.id, true) }, "Download"), h("a", { class: "button", href: `#watch/${image.id}` }, "Settings and actions")),
    ),
  );
}
