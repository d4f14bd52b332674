import { allMeet, allOnPath, arrive, startServer } from "../meeting.mjs";
import { until } from "../person.mjs";

export const title = "whose network changes gets new ICE credentials in the same session, and goes on seeing and hearing";

/** User name fragments of both sides of the connection to the bridge, and how it is. */
const path = (person) =>
  person.page.evaluate(() => {
    const connection = window.__connections.findLast((one) => one.connectionState !== "closed");
    const fragment = (description) => /a=ice-ufrag:(\S+)/.exec(description.sdp)?.[1];
    const { localDescription, remoteDescription, iceConnectionState } = connection;
    const count = window.__connections.length;
    return { ours: fragment(localDescription), theirs: fragment(remoteDescription), state: iceConnectionState, count };
  });

export const story = async (cleanUp) => {
  const server = await startServer(cleanUp, { TERTULIA_MEDIA__PEER_TO_PEER: "false" });
  const people = await arrive(cleanUp, server, "tea", ["chromium", "firefox"]);
  for (const person of people) await person.join();
  await allMeet(people, 20);
  await allOnPath(people, "bridge", 5);

  const renewedMs = [];
  for (const person of people) {
    const before = await path(person);
    const began = Date.now();
    // What browsers say when their network is another.
    await person.page.evaluate(() => window.dispatchEvent(new Event("online")));
    await until(`${person.name} (${person.kind}) has a new path`, 5, async () => {
      const { ours, theirs, state } = await path(person);
      return ours !== before.ours && theirs !== before.theirs && (state === "connected" || state === "completed");
    });
    renewedMs.push(Date.now() - began);
    await allMeet(people, 3, () => Date.now());
    const { count } = await path(person);
    if (count !== before.count) throw new Error(`${person.name} has another session`);
  }
  return { renewedMs };
};
