import { allMeet, allOnPath, arrive, listsExactlyTheOthers, startServer } from "../meeting.mjs";

export const title = "three people meet within 6 s of joining (the goal is 3 s); pairs talk directly, three over the bridge";

export const story = async (cleanUp) => {
  const server = await startServer(cleanUp);
  const [ada, ben, cem] = await arrive(cleanUp, server, "tea", ["chromium", "chromium", "firefox"]);
  await ada.join();
  await ben.join();
  const pair = await allMeet([ada, ben], 10, () => ben.joinedAt);
  await allOnPath([ada, ben], "peer", 15);
  await cem.join();
  const three = await allMeet([ada, ben, cem], 10, () => cem.joinedAt);
  await allOnPath([ada, ben, cem], "bridge", 5);
  await listsExactlyTheOthers([ada, ben, cem], 2);
  await cem.press("leave");
  await listsExactlyTheOthers([ada, ben], 3);
  await allOnPath([ada, ben], "peer", 20);
  await allMeet([ada, ben], 5, () => Date.now());
  const figures = { pairMs: Math.max(...pair), threeMs: Math.max(...three) };
  // The goal is 3 s on an idle machine; a busy one gets some slack before this is a failure.
  if (figures.threeMs > 6000) throw new Error(`meeting took too long: ${JSON.stringify(figures)}`);
  return figures;
};
