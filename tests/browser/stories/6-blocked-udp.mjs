import { allMeet, allOnPath, arrive, startServer } from "../meeting.mjs";
import { until } from "../person.mjs";

export const title = "somebody whose network lets nothing but HTTPS pass holds a call by TURN over TLS on the web's own port";

export const story = async (cleanUp) => {
  // No other port than that of the pages speaks TURN, and everybody's media goes over the bridge.
  const server = await startServer(cleanUp, {
    TERTULIA_TURN__LISTEN: "[]",
    TERTULIA_TURN__LISTEN_TCP: "[]",
    TERTULIA_MEDIA__PEER_TO_PEER: "false",
  });
  // Browsers have no button for the certificate of a TURN server: a real one is needed, or this.
  const flags = [`--ignore-certificate-errors-spki-list=${server.keyHash}`];
  const [ada, ben] = await arrive(cleanUp, server, "tea", ["chromium without UDP", "chromium"], flags);
  await ada.join();
  await ben.join();
  const [adaMs, benMs] = await allMeet([ada, ben], 15, () => ben.joinedAt);
  await allOnPath([ada, ben], "bridge", 5);
  const relayed = async () => {
    const ways = await ada.ways();
    const strays = ways.flatMap((way) => way.found).filter((candidate) => candidate.endsWith(" udp"));
    if (strays.length > 0) throw new Error(`UDP is not blocked: ${JSON.stringify(ways)}`);
    return ways.some((way) => way.state === "connected" && way.used === "relay tls");
  };
  await until("Ada's media goes by TURN over TLS", 5, relayed);
  const direct = (await ben.ways()).map((way) => way.used);
  if (direct.some((candidate) => candidate?.startsWith("relay"))) {
    throw new Error(`Ben needs no relay: ${JSON.stringify(direct)}`);
  }
  // It lasts.
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  await allMeet([ada, ben], 5, () => Date.now());
  if (!(await relayed())) throw new Error("Ada's media goes another way");
  return { adaMs, benMs };
};
