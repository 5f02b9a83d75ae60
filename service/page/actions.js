/** What can be done with a video that was made, in the gallery and where it is watched. */

import { askText, confirm } from "./confirm.js";
import { h, say } from "./dom.js";
import { download, fileUrl } from "./player.js";
import { hasEnded } from "./events.js";

/**
 * The buttons of a video. onChange: called with the Video that came of one, or null where it was deleted.
 * onProblem: called with what the API refused.
 */
export function actions(api, video, { signal, onChange, onProblem }) {
  const done = video.status === "completed";
  const path = `v1/videos/${encodeURIComponent(video.id)}`;
  const button = (label, act, kind) => h("button", { type: "button", class: kind, onclick: guarded(act) }, label);
  const guarded = (act) => async (event) => {
    const pressed = event.currentTarget;
    pressed.disabled = true;
    try {
      await act();
    } catch (problem) {
      if (!signal.aborted) onProblem(problem);
    } finally {
      pressed.disabled = false;
    }
  };

  async function cancel() {
    onChange(await api.post(`${path}/cancel`, undefined, { signal }));
  }

  async function save() {
    const leave = new AbortController();
    download(await fileUrl(api, video.id, leave.signal), video.id);
    setTimeout(() => leave.abort(), 60_000);
  }

  async function again(prompt) {
    const made = await api.post(`${path}/remix`, { prompt }, { signal });
    say("Queued.");
    location.hash = `#watch/${made.id}`;
  }

  async function remix() {
    const prompt = await askText("Remix: the same settings, seed and first frame", "Make it", "New prompt", video.prompt);
    if (prompt) await again(prompt);
  }

  async function remove() {
    if (!(await confirm("Delete this video, its prompt and its file?", "Delete"))) return;
    await api.delete(path, { signal });
    say("Deleted.");
    onChange(null);
  }

  return h(
    "div",
    { class: "actions" },
    !hasEnded(video) && button("Cancel", cancel, "primary"),
    done && button("Download", save, "primary"),
    done && button("Re-run", () => again(video.prompt)),
    done && button("Remix", remix),
    h("a", { class: "button", href: `#create?from=${video.id}` }, "Use settings"),
    hasEnded(video) && button("Delete", remove, "danger"),
  );
}
