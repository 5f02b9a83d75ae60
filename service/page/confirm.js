/** A question before something is done that cannot be undone, or that needs a line of text. */

import { field, h } from "./dom.js";

/** Whether the person agrees. action: the button's word. */
export function confirm(question, action) {
  return open(question, action, []).then((answer) => answer !== null);
}

/** A text, or null where the person leaves. */
export async function askText(question, action, label, value) {
  const input = h("textarea", { rows: 4, required: true, maxlength: 32000, value });
  return (await open(question, action, [field(label, input)])) === null ? null : input.value.trim();
}

function open(question, action, fields) {
  return new Promise((resolve) => {
    const close = (answer) => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    const dialog = h(
      "dialog",
      { "aria-labelledby": "question", oncancel: () => close(null) },
      h(
        "form",
        { onsubmit: (event) => (event.preventDefault(), close(action)) },
        h("h2", { id: "question" }, question),
        fields,
        h(
          "div",
          { class: "actions" },
          h("button", { type: "submit", class: "primary" }, action),
          h("button", { type: "button", onclick: () => close(null) }, "Leave it"),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
