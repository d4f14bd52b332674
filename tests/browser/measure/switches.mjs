// How long a receiver waits for another size: a browser with a 720-line camera sends simulcast, another asks for 180
// and 720 lines in turn (ReceiverVideoConstraints). Measured from the message to the first picture of the new height.
//
// Usage: node switches.mjs [--switches 20] [--receiver chromium|firefox] [--network direct]
import { Server } from "../server.mjs";
import { until } from "../person.mjs";
import { Access, standApart } from "./access.mjs";
import { FarPerson } from "./far_person.mjs";
import { busyShare, median, option, printTable, processorTime, save } from "./figures.mjs";

standApart();

const switches = Number(option("switches", "20"));
const receiverKind = option("receiver", "chromium");
const network = option("network", "direct");

/** In the page, before joining: the bridge channel is remembered, and from `__isOurs` on it says what we say only. */
const holdChannel = () => {
  for (const kind of [RTCDataChannel, WebSocket]) {
    const send = kind.prototype.send;
    kind.prototype.send = function (data) {
      if (typeof data === "string" && data.includes('"ReceiverVideoConstraints"')) {
        window.__say = (text) => send.call(this, text);
        if (window.__isOurs) return;
      }
      send.call(this, data);
    };
  }
};

/** In the page: asks for so many lines of the only other's camera and waits for such a picture. */
const switchTo = async (height, limitMs) => {
  window.__isOurs = true;
  const [other] = window.__meeting.state.participants;
  const source = other.sources.find(({ kind }) => kind === "camera").name;
  const video = document.querySelector(`[data-participant="${other.id}"] video`);
  const reports = async () => {
    const found = { freezeCount: 0, totalFreezesDuration: 0, pliCount: 0, framesDecoded: 0 };
    for (const connection of window.__connections) {
      if (connection.connectionState === "closed") continue;
      for (const entry of (await connection.getStats()).values()) {
        if (entry.type !== "inbound-rtp" || entry.kind !== "video") continue;
        for (const name of Object.keys(found)) found[name] += entry[name] ?? 0;
      }
    }
    return found;
  };
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const before = await reports();
  const shown = new Promise((resolve) => {
    const look = (now, { height: lines }) => {
      if (Math.abs(lines - height) <= 8) resolve(now);
      else video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  });
  const asked = performance.now();
  window.__say(
    JSON.stringify({
      colibriClass: "ReceiverVideoConstraints",
      lastN: -1,
      selectedSources: [],
      onStageSources: [source],
      defaultConstraints: { maxHeight: 0 },
      constraints: { [source]: { maxHeight: height } },
    }),
  );
  const at = await Promise.race([shown, sleep(limitMs).then(() => null)]);
  const tookMs = at === null ? null : performance.now() - asked;
  await sleep(3000);
  const after = await reports();
  const grown = (name) => after[name] - before[name];
  return {
    height,
    tookMs,
    freezes: grown("freezeCount"),
    frozenSeconds: grown("totalFreezesDuration"),
    plis: grown("pliCount"),
    frames: grown("framesDecoded"),
  };
};

/** In the page: key frames that were asked of this sender, and what it sends of each encoding. */
const sent = async () => {
  const found = { requests: 0, keyFrames: 0, encodings: [] };
  for (const connection of window.__connections) {
    if (connection.connectionState === "closed") continue;
    for (const entry of (await connection.getStats()).values()) {
      if (entry.type !== "outbound-rtp" || entry.kind !== "video") continue;
      found.requests += (entry.pliCount ?? 0) + (entry.firCount ?? 0);
      found.keyFrames += entry.keyFramesEncoded ?? 0;
      const { rid, frameHeight, active, framesPerSecond, qualityLimitationReason, targetBitrate } = entry;
      found.encodings.push({ rid, frameHeight, active, framesPerSecond, qualityLimitationReason, targetBitrate });
    }
  }
  return found;
};

const framesDecoded = async () => (await window.__meeting.stats())[0]?.framesDecoded ?? 0;

const undo = [];
try {
  const accesses = [await Access.create("direct"), await Access.create(network)];
  for (const access of accesses) undo.push(() => access.remove());
  const server = await Server.start({ TERTULIA_MEDIA__PEER_TO_PEER: "false" });
  undo.push(() => server.discard());
  const people = [];
  for (const [index, kind] of ["chromium", receiverKind].entries()) {
    const access = accesses[index];
    const person = await FarPerson.arrive(access, kind, `https://${access.gateway}:${server.https}`, "tea", ["Ada", "Ben"][index], {
      flags: ["--ignore-certificate-errors"],
      settings: { acceptInsecureCerts: true },
      // The receiver's own camera would only cost processor time.
      hash: index === 0 ? "#config.resolution=720" : "#config.resolution=180",
    });
    undo.push(() => person.leave());
    people.push(person);
  }
  const [sender, receiver] = people;
  await receiver.evaluate(holdChannel);
  await sender.join();
  await receiver.join();
  await until("the receiver sees the sender", 30, async () => (await receiver.evaluate(framesDecoded)) > 30);
  // The first two are not counted: estimation of bandwidth begins.
  for (const height of [720, 180]) await receiver.evaluate(switchTo, height, 20_000);
  const rounds = [];
  const began = processorTime();
  for (let round = 0; round < switches; round += 1) {
    const before = await sender.evaluate(sent);
    const result = await receiver.evaluate(switchTo, round % 2 === 0 ? 720 : 180, 10_000);
    const after = await sender.evaluate(sent);
    const asked = { requests: after.requests - before.requests, keyFrames: after.keyFrames - before.keyFrames };
    rounds.push({ ...result, ...asked, encodings: after.encodings });
  }
  const busy = busyShare(began, processorTime());
  console.log(`\n${switches} switches in ${receiverKind}, network ${network}: processor ${Math.round(busy * 100)} % busy`);
  printTable(
    ["to lines", "ms", "freezes", "frozen s", "receiver's PLIs", "requests to the sender", "key frames", "frames"],
    rounds.map((one) => [
      one.height,
      one.tookMs?.toFixed(0),
      one.freezes,
      one.frozenSeconds.toFixed(2),
      one.plis,
      one.requests,
      one.keyFrames,
      one.frames,
    ]),
  );
  const times = (height) => rounds.filter((one) => one.height === height || height === 0).map((one) => one.tookMs ?? Infinity);
  const summary = {
    medianMs: median(times(0)),
    medianUpMs: median(times(720)),
    medianDownMs: median(times(180)),
    worstMs: Math.max(...times(0)),
    freezes: rounds.reduce((sum, one) => sum + one.freezes, 0),
    mostPlis: Math.max(...rounds.map((one) => Math.max(one.plis, one.requests))),
  };
  console.log(
    `  median ${summary.medianMs.toFixed(0)} ms (up ${summary.medianUpMs.toFixed(0)}, down ${summary.medianDownMs.toFixed(0)}), ` +
      `worst ${summary.worstMs.toFixed(0)} ms, ${summary.freezes} freezes, at most ${summary.mostPlis} PLIs per switch`,
  );
  console.log("  goal: median below 1000 ms, no freeze, at most 2 PLIs");
  save("switches", { receiverKind, network, busy, summary, rounds });
} finally {
  for (const step of undo.reverse()) await step();
}
process.exit(0);
