/** The page's start: the view of the address, and the API key where the service asks for one. */

import { Api } from "./api.js";
import { keyDialog } from "./key.js";
import { Router } from "./router.js";
import { VIEWS } from "./views.js";

const button = document.getElementById("key");
const api = new Api((problem) => dialog.ask(problem));
const router = new Router({
  views: VIEWS,
  root: document.getElementById("main"),
  menu: document.getElementById("menu"),
  api,
});
const dialog = keyDialog(api, () => {
  button.hidden = false;
  return router.open();
});

button.hidden = !api.key;
button.addEventListener("click", () => dialog.ask());
router.start();
