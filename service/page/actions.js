/** What can be done with a video or an image, in the gallery and where it is watched. */

import { isImage, jobPath, Problem } from "./api.js";
import { askText, confirm } from "./confirm.js";
import { h, say } from "./dom.js";
import { download, fileUrl } from "./player.js";
import { hasEnded } from "./events.js";

/**
 * The buttons of a job. onChange: called with the job that came of one, or null where it was deleted.
 * onProblem: called with what the API refused.
 */
export function actions(api, job, { signal, onChange, onProblem }) {
  const image = isImage(job.id);
  const done = job.status === "completed";
  const ended = hasEnded(job);
  const repeatable = ended && job.error?.code !== "record_unreadable";
  const path = jobPath(job.id);
  const button = (label, act, kind) => h("button", { type: "button", class: kind, onclick: guarded(act) }, label);
  const guarded = (act) => async (event) => {
    const pressed = event.currentTarget;
    pressed.disabled = true;
    try {
      await act();
    } catch (problem) {
      if (!signal.aborted) onProblem(problem);
      else if (problem instanceof Problem) say(problem.message); // Of what outlives the view: the rest was given up with it.
    } finally {
      pressed.disabled = false;
    }
  };

  async function cancel() {
    onChange(await api.post(`${path}/cancel`, undefined, { signal }));
  }

  async function save() {
    const leave = new AbortController();
    download(await fileUrl(api, job.id, leave.signal), job.id, image);
    setTimeout(() => leave.abort(), 60_000);
  }

  async function again(prompt) {
    if (image) return imageAgain(prompt);
    const made = await api.post(`${path}/remix`, { prompt }, { signal });
    say("Queued.");
    location.hash = `#watch/${made.id}`;
  }

  /** The call waits for its image, and takes it along where it is given up: so it outlives the view. */
  async function imageAgain(prompt) {
    say("Being made, for as long as this page is open. It shows in the gallery.");
    await api.post(`${path}/remix`, { prompt, response_format: "url" });
    say("The image is made.");
  }

  async function remix() {
    const kept = image ? "Remix: the same settings and seed" : "Remix: the same settings, seed and first frame";
    const prompt = await askText(kept, "Make it", "New prompt", job.prompt);
    if (prompt) await again(prompt);
  }

  async function remove() {
    if (!(await confirm(`Delete this ${image ? "image" : "video"}, its prompt and its file?`, "Delete"))) return;
    await api.delete(path, { signal });
    say("Deleted.");
    onChange(null);
  }

  return h(
    "div",
    { class: "actions" },
    !ended && !image && button("Cancel", cancel, "primary"),
    done && button("Download", save, "primary"),
    repeatable && button("Re-run", () => again(job.prompt)),
    repeatable && button("Remix", remix),
    h("a", { class: "button", href: `#create?from=${job.id}` }, "Use settings"),
    (ended || image) && button("Delete", remove, "danger"),
  );
}
