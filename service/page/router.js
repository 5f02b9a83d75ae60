/** Which view is shown: `#name/argument?query`, so that every one has an address and the browser's history works. */

import { h, problemBox, show } from "./dom.js";

export class Router {
  #leave = new AbortController();

  /** views: as in views.js. The first one is shown where the address names none. */
  constructor({ views, root, menu, api }) {
    Object.assign(this, { views, root, menu, api });
  }

  start() {
    addEventListener("hashchange", () => this.open());
    return this.open();
  }

  /** Show the view of the address, from its beginning. */
  async open() {
    this.#leave.abort();
    this.#leave = new AbortController();
    const { signal } = this.#leave;
    const { name, argument, query } = place(location.hash);
    const view = this.views.find((each) => each.name === name) ?? this.views[0];
    this.#mark(view);
    document.title = `${view.label} · ScalingCache Serve`;
    const section = h("section", { class: `view ${view.name}` });
    show(this.root, section);
    scrollTo(0, 0);
    if (name) this.root.focus({ preventScroll: true });
    try {
      await view.mount(section, this.api, { argument, query, signal });
    } catch (problem) {
      if (signal.aborted) return;
      if (!("code" in problem)) throw problem;
      section.append(problemBox(problem, () => this.open()));
    }
  }

  #mark(current) {
    const entries = this.views.filter((view) => view.menu !== false);
    show(
      this.menu,
      entries.map((view) => {
        const here = view.name === current.name || view.name === current.below;
        return h("a", { href: `#${view.name}`, "aria-current": here && "page" }, view.label);
      }),
    );
  }
}

/** What an address says. */
export function place(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const [name, ...rest] = path.split("/");
  return { name, argument: decoded(rest.join("/")), query: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // what somebody typed
  }
}
