/** Tables. */

import { h } from "./dom.js";

/**
 * A table. columns: names, or `{name, number: true}` for figures. rows: lists of cells, texts or elements.
 * The first cell of a row names it. Without rows it says `none`.
 */
export function table(caption, columns, rows, none = "none") {
  const heads = columns.map((column) => (typeof column === "string" ? { name: column } : column));
  const kind = (index) => (heads[index].number ? "number" : undefined);
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "visually-hidden" }, caption),
      h("thead", {}, h("tr", {}, heads.map(({ name }, index) => h("th", { scope: "col", class: kind(index) }, name)))),
      h(
        "tbody",
        {},
        rows.map((cells) => h("tr", {}, cells.map((cell, index) => h(index ? "td" : "th", { scope: index ? null : "row", class: kind(index) }, cell ?? "–")))),
        !rows.length && h("tr", {}, h("td", { colspan: heads.length, class: "hint" }, none)),
      ),
    ),
  );
}
