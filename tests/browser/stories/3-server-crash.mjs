import { allMeet, arrive, listsExactlyTheOthers, startServer } from "../meeting.mjs";

export const title = "after SIGKILL of the server the same tabs are back in their meeting within 10 s";

export const story = async (cleanUp) => {
  const server = await startServer(cleanUp);
  const people = await arrive(cleanUp, server, "tea", ["chromium", "chromium", "firefox"]);
  for (const person of people) await person.join();
  await allMeet(people, 20);

  await server.end("SIGKILL");
  await server.run();
  const ready = Date.now();
  const times = await allMeet(people, 10, () => ready);
  await listsExactlyTheOthers(people, 2);
  return { backMs: Math.max(...times) };
};
