/** Elements without a framework: nothing here parses HTML, so that no text of a prompt can become any. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. `on...` attributes are listeners, true and false are an attribute's presence, undefined leaves it out.
 * Children are elements and texts, in lists too; null, undefined and false are left out.
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...shown(children));
  return element;
}

/** Put these children in the place of what an element has. */
export function show(element, ...children) {
  element.replaceChildren(...shown(children));
  return element;
}

function shown(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** A labelled field. hint: a sentence below it, which screen readers say with it. */
export function field(label, control, hint) {
  control.id ||= `field-${(counter += 1)}`;
  const below = hint && h("p", { class: "hint", id: `${control.id}-hint` }, hint);
  if (below) control.setAttribute("aria-describedby", below.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, below);
}

/** The options of a select: values, or pairs of value and label. */
export function options(choices, selected) {
  return choices.map((choice) => {
    const [value, label] = Array.isArray(choice) ? choice : [choice, choice];
    return h("option", { value, selected: value === selected }, label);
  });
}

/** What went wrong, in the words of the API. again: called by a button, where trying again makes sense. */
export function problemBox(problem, again) {
  const details = [problem.code, problem.param && `field ${problem.param}`, problem.requestId].filter(Boolean);
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", {}, problem.message),
    h("p", { class: "hint" }, details.join(" · ")),
    again && h("button", { type: "button", onclick: again }, "Try again"),
  );
}

/** A short message for everybody, screen readers included; it leaves by itself. */
export function say(text) {
  const box = document.getElementById("said") ?? document.body.appendChild(h("div", { id: "said", role: "status" }));
  show(box, text);
  clearTimeout(leaving);
  leaving = setTimeout(() => show(box), 4000);
}

let counter = 0;
let leaving;

/** Put a text where it can be pasted from. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages without TLS have no clipboard of their own.
    const area = document.body.appendChild(h("textarea", { class: "visually-hidden", value: text }));
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied.");
}
