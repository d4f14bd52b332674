import { allMeet, arrive, listsExactlyTheOthers, startServer } from "../meeting.mjs";
import { until } from "../person.mjs";

export const title = "a closed tab is gone within 2 s, a killed browser's tile within 10 s";

export const story = async (cleanUp) => {
  const server = await startServer(cleanUp);
  const [ada, ben, cem] = await arrive(cleanUp, server, "tea", ["chromium", "chromium", "firefox"]);
  for (const person of [ada, ben, cem]) await person.join();
  await allMeet([ada, ben, cem], 20);

  // Firefox dies without a word; Chromium's network process would still say goodbye (1001).
  const killed = Date.now();
  await cem.die();
  await listsExactlyTheOthers([ada, ben], 10);
  const tileGoneMs = Date.now() - killed;

  const closed = Date.now();
  await ben.page.close();
  await until("Ada is alone", 3, async () => (await ada.others()).length === 0);
  const closedGoneMs = Date.now() - closed;
  if (closedGoneMs > 2000) throw new Error(`a closed tab stayed for ${closedGoneMs} ms`);
  return { tileGoneMs, closedGoneMs };
};
