/** The dialog that asks for an API key. */

import { field, h, problemBox, show } from "./dom.js";

/** onChange: called when there is another key, or none any more. */
export function keyDialog(api, onChange) {
  const input = h("input", { type: "password", autocomplete: "off", required: true, pattern: "[!-~]+", title: "letters, digits and signs of ASCII" });
  const told = h("div");
  const dialog = h(
    "dialog",
    { "aria-labelledby": "key-title" },
    h(
      "form",
      { onsubmit: (event) => take(event, input.value.trim()) },
      h("h2", { id: "key-title" }, "API key"),
      field("Key of your account", input, "It stays in this tab, and is forgotten when the tab is closed."),
      told,
      h(
        "div",
        { class: "actions" },
        h("button", { type: "submit", class: "primary" }, "Use this key"),
        h("button", { type: "button", onclick: (event) => take(event, "") }, "Forget the key"),
        h("button", { type: "button", onclick: () => dialog.close() }, "Close"),
      ),
    ),
  );
  document.body.append(dialog);

  function take(event, key) {
    event.preventDefault();
    api.key = key;
    input.value = "";
    dialog.close();
    onChange();
  }

  return {
    /** problem: why a key is needed, in the words of the API. */
    ask(problem) {
      show(told, problem && problemBox(problem));
      if (!dialog.open) dialog.showModal();
    },
  };
}
