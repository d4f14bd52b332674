import { allMeet, arrive, listsExactlyTheOthers, startServer } from "../meeting.mjs";

export const title = "a closed or reloaded tab is gone within 2 s, a killed browser's tile within 10 s";

/** Milliseconds from `act` until `watchers` list exactly each other; at most two seconds. */
const goneAfter = async (what, watchers, act) => {
  const began = Date.now();
  const acted = act();
  await listsExactlyTheOthers(watchers, 3);
  const goneMs = Date.now() - began;
  await acted;
  if (goneMs > 2000) throw new Error(`${what} stayed for ${goneMs} ms`);
  return goneMs;
};

export const story = async (cleanUp) => {
  const server = await startServer(cleanUp);
  const [ada, ben, cem] = await arrive(cleanUp, server, "tea", ["chromium", "chromium", "firefox"]);
  for (const person of [ada, ben, cem]) await person.join();
  await allMeet([ada, ben, cem], 20);

  // A reloaded tab is a new person before the join button: the old one is gone, the new one may come.
  const reloadedGoneMs = [];
  for (const [person, watchers] of [
    [ben, [ada, cem]],
    [cem, [ada, ben]],
  ]) {
    reloadedGoneMs.push(await goneAfter(`${person.name}'s reloaded tab`, watchers, () => person.page.reload()));
    await person.join();
    await allMeet([ada, ben, cem], 20);
  }

  // Firefox dies without a word; Chromium's network process would still say goodbye (1001).
  const killed = Date.now();
  await cem.die();
  await listsExactlyTheOthers([ada, ben], 10);
  const tileGoneMs = Date.now() - killed;

  const closedGoneMs = await goneAfter("a closed tab", [ada], () => ben.page.close());
  return { reloadedGoneMs, tileGoneMs, closedGoneMs };
};
