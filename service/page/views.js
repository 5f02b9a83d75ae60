/**
 * The views, in the order of the menu.
 *
 * `mount(root, api, {argument, query, signal})` fills the root. argument and query are what the address says behind the
 * name; signal aborts when the view is left, and everything that a view starts takes it. What it raises is shown.
 * menu: false keeps one out of the menu, where `below` is then marked as the place.
 */

import * as blind from "./views/blind.js";
import * as compare from "./views/compare.js";
import * as create from "./views/create.js";
import * as gallery from "./views/gallery.js";
import * as models from "./views/models.js";
import * as queue from "./views/queue.js";
import * as vote from "./views/vote.js";
import * as watch from "./views/watch.js";

export const VIEWS = [
  { name: "create", label: "Create", mount: create.mount },
  { name: "gallery", label: "Gallery", mount: gallery.mount },
  { name: "compare", label: "Compare", mount: compare.mount },
  { name: "blind", label: "Blind test", mount: blind.mount },
  { name: "models", label: "Models", mount: models.mount },
  { name: "queue", label: "Queue", mount: queue.mount },
  { name: "vote", label: "Vote", mount: vote.mount, menu: false, below: "blind" },
  { name: "watch", label: "Watch", mount: watch.mount, menu: false, below: "gallery" },
];
