// Somebody's address changes in a call: how long media is missing, there and at the other side.
//
// Usage: node move.mjs [--browser chromium,firefox] [--change rebind,move] [--network good] [--times 3]
//                      [--first seen|unseen]
//
// - rebind: the NAT on the way gives each UDP flow another port; nobody is told
// - move: the browser's machine has another address, the old one is gone, and with it every connection
import { Server } from "../server.mjs";
import { until } from "../person.mjs";
import { Access, standApart } from "./access.mjs";
import { FarPerson } from "./far_person.mjs";
import { busyShare, option, printTable, processorTime, save } from "./figures.mjs";
import { progress } from "./watch.mjs";

standApart();

const browsers = option("browser", "chromium,firefox").split(",");
const changes = option("change", "rebind,move").split(",");
const network = option("network", "good");
const times = Number(option("times", "3"));
const first = option("first", "seen");
/** How long media is watched before a change, and after it. */
const BEFORE_MS = 4000;
const AFTER_MS = Number(option("after", "20")) * 1000;
const GOAL_MS = 1000;
/** Longer than a browser waits before it tells its pages of a change. */
const FIRST_MS = 4000;

/** In the page: notes when sound and pictures came on, and what the connections say of themselves. */
const watchPauses = () => {
  const watch = { longest: {}, last: {}, counts: {}, said: [], isDone: false };
  window.__pauses = watch;
  const began = performance.now();
  const say = (what) => watch.said.push([Math.round(performance.now() - began), what]);
  for (const connection of window.__connections) {
    if (connection.connectionState === "closed") continue;
    connection.addEventListener("iceconnectionstatechange", () => say(`ice ${connection.iceConnectionState}`));
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.address) say(`candidate ${candidate.address}`);
    });
    const [transport] = connection.getTransceivers().flatMap(({ sender }) => sender.transport?.iceTransport ?? []);
    transport?.addEventListener("selectedcandidatepairchange", () => say("another pair"));
  }
  window.WebSocket = class extends WebSocket {
    constructor(...of) {
      super(...of);
      say("dials");
      this.addEventListener("open", () => say("socket opened"));
      this.addEventListener("message", ({ data }) => {
        const what = /<resumed|action=.transport-info|ice-generation/.exec(data)?.[0];
        if (what !== undefined) say(what);
      });
    }
  };
  addEventListener("online", () => say("online"));
  addEventListener("offline", () => say("offline"));
  const look = async () => {
    const counts = { audio: 0, video: 0 };
    for (const connection of window.__connections) {
      if (connection.connectionState === "closed") continue;
      for (const entry of (await connection.getStats()).values()) {
        if (entry.type !== "inbound-rtp") continue;
        counts[entry.kind] += entry.kind === "audio" ? entry.packetsReceived ?? 0 : entry.framesDecoded ?? 0;
      }
    }
    const now = performance.now();
    for (const kind of ["audio", "video"]) {
      if (counts[kind] !== watch.counts[kind]) {
        watch.counts[kind] = counts[kind];
        watch.last[kind] = now;
      }
      // What is still missing counts as well.
      const pause = now - (watch.last[kind] ?? now);
      watch.longest[kind] = Math.max(watch.longest[kind] ?? 0, pause);
    }
    if (!watch.isDone) setTimeout(() => void look(), 20);
  };
  void look();
};

/** In the page: the longest pauses since, and begins anew. */
const takePauses = () => {
  const watch = window.__pauses;
  const { longest, said } = watch;
  watch.longest = {};
  watch.said = [];
  return { longest, said };
};

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const measure = async (kind, change) => {
  const undo = [];
  try {
    const far = await Access.create(network, { isLink: true });
    undo.push(() => far.remove());
    const near = await Access.create("direct");
    undo.push(() => near.remove());
    const server = await Server.start({ TERTULIA_MEDIA__PEER_TO_PEER: "false" });
    undo.push(() => server.discard());
    const people = [];
    for (const [name, access, browser] of [["Ada", far, kind], ["Ben", near, "chromium"]]) {
      const person = await FarPerson.arrive(access, browser, `https://${access.gateway}:${server.https}`, "tea", name, {
        flags: ["--ignore-certificate-errors"],
        settings: { acceptInsecureCerts: true },
        hash: "#config.resolution=360",
      });
      undo.push(() => person.leave());
      people.push(person);
    }
    if (first === "seen") {
      // Until its first change of network Chromium believes to be offline, and waits for 1.5 s instead of half a second
      // before it tells its pages of one. Whoever has joined a network since they opened the browser is past that.
      far.move();
      await sleep(FIRST_MS);
    }
    for (const person of people) await person.join();
    const meet = (seconds) =>
      Promise.all(
        people.map((person) =>
          until(`${person.name} sees and hears the other`, seconds, async () => {
            const [other] = await person.evaluate(progress);
            return other?.framesDecoded > 30 && other.audioPackets > 50;
          }),
        ),
      );
    await meet(30);
    await sleep(5000);
    for (const person of people) await person.evaluate(watchPauses);
    const rounds = [];
    const began = processorTime();
    for (let round = 0; round < times; round += 1) {
      await sleep(BEFORE_MS);
      const before = await Promise.all(people.map((person) => person.evaluate(takePauses)));
      if (change === "rebind") far.rebind();
      else far.move();
      await sleep(AFTER_MS);
      const after = await Promise.all(people.map((person) => person.evaluate(takePauses)));
      rounds.push({ before, after });
    }
    return { kind, change, busy: busyShare(began, processorTime()), rounds };
  } finally {
    for (const step of undo.reverse()) await step();
  }
};

const all = [];
for (const kind of browsers) {
  for (const change of changes) {
    const result = await measure(kind, change);
    all.push(result);
    console.log(`\n${kind}, ${change}, network ${network}: processor ${Math.round(result.busy * 100)} % busy; longest pause in ms`);
    const cells = ({ longest }) => [longest.audio, longest.video].map((pause) => (pause === undefined ? null : Math.round(pause)));
    printTable(
      ["", "sound here", "pictures here", "sound there", "pictures there", "the connection said (ms: what)"],
      result.rounds.flatMap(({ before, after }, index) => [
        [`${index + 1} before`, ...cells(before[0]), ...cells(before[1]), ""],
        [`${index + 1} after`, ...cells(after[0]), ...cells(after[1]), after[0].said.map(([at, what]) => `${at}: ${what}`).join(", ")],
      ]),
    );
  }
}
console.log(`\n  goal: at most ${GOAL_MS} ms`);
save("move", all);
process.exit(0);
