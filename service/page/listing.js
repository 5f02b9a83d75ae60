/** The account's videos and images as one list, the newest first. */

export const MEDIA = ["video", "image"];

/**
 * media: which of them. query: what the API lists them by. limit: how many a call brings.
 * `next(count)` gives the jobs that follow as they stand now, fewer at the end; `over` is whether there are no more.
 */
export function listing(api, { media = MEDIA, query = {}, limit, signal }) {
  let given = media.map((each) => ({ path: `v1/${each}s`, jobs: [], after: undefined, isWhole: false }));
  const isOver = (lists) => lists.every(({ jobs, isWhole }) => isWhole && !jobs.length);

  async function refill(list) {
    if (list.jobs.length || list.isWhole) return;
    const page = await api.get(list.path, { signal, query: { ...query, limit, after: list.after } });
    Object.assign(list, { jobs: page.data, isWhole: !page.has_more || !page.data.length });
  }

  function take(list) {
    const job = list.jobs.shift();
    list.after = job.id;
    return job;
  }

  /** What was read and not given is read again when it is asked for: by then it may have gone on, or be gone. */
  function forget(list) {
    return list.jobs.length ? { ...list, jobs: [], isWhole: false } : list;
  }

  async function next(count) {
    const lists = given.map((list) => ({ ...list })); // what is read counts only once it is given: a call may fail
    const found = [];
    while (found.length < count && !isOver(lists)) {
      await Promise.all(lists.map(refill));
      const [newest] = lists.filter(({ jobs }) => jobs.length).sort((one, other) => other.jobs[0].created_at - one.jobs[0].created_at);
      if (newest) found.push(take(newest));
    }
    given = lists.map(forget);
    return found;
  }

  return { next, get over() { return isOver(given); } };
}
