// A meeting of ten in real time over bad networks: a Chromium, a Firefox ESR, each behind an access network of its own,
// and eight participants of `tertulia load`. Prints what the browsers say of each stream that they receive.
//
// Usage: node quality.mjs [--network wifi,lossy-5] [--others NETWORK,…] [--seconds 60] [--height 360]
import { spawn } from "node:child_process";

import { BINARY, Server } from "../server.mjs";
import { until } from "../person.mjs";
import { Access, standApart } from "./access.mjs";
import { FarPerson } from "./far_person.mjs";
import { busyShare, option, printTable, processorTime, save } from "./figures.mjs";
import { endWatch, people, progress, startWatch } from "./watch.mjs";

standApart();

const networks = option("network", "wifi,lossy-5").split(",");
const seconds = Number(option("seconds", "60"));
const height = option("height", "360");
const OTHERS = 8;
/** The generator need not be of the same build as the server. */
const GENERATOR = process.env.MEASURE_LOAD ?? BINARY;

/** `tertulia load` for one network: `count` participants of the room. */
const startLoad = (server, network, count) => {
  const duration = `${seconds + 120}s`;
  const args = ["load", `${server.origin}/tea`, "--participants", count, "--video", "--audio", "on", "--network", network];
  const child = spawn(GENERATOR, [...args, "--duration", duration, "--json"].map(String), { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const exited = new Promise((resolve) => child.once("exit", resolve));
  return {
    end: async () => {
      child.kill("SIGINT");
      await exited;
      return output;
    },
  };
};

/** How many participants of the load have which network. */
const shares = (network) => {
  const named = option("others", network).split(",");
  const counts = new Map();
  for (let place = 0; place < OTHERS; place += 1) {
    const name = named[place % named.length];
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
};

const measure = async (network) => {
  const undo = [];
  try {
    const accesses = [];
    for (let place = 0; place < 2; place += 1) {
      const access = await Access.create(network);
      accesses.push(access);
      undo.push(() => access.remove());
    }
    const server = await Server.start({ TERTULIA_MEDIA__PEER_TO_PEER: "false" });
    undo.push(() => server.discard());
    const loads = [...shares(network)].map(([name, count]) => startLoad(server, name, count));
    undo.push(async () => {
      for (const load of loads) await load.end();
    });
    const browsers = [];
    for (const [index, kind] of ["chromium", "firefox"].entries()) {
      const access = accesses[index];
      const origin = `https://${access.gateway}:${server.https}`;
      const person = await FarPerson.arrive(access, kind, origin, "tea", kind === "firefox" ? "Firefox" : "Chromium", {
        flags: ["--ignore-certificate-errors"],
        settings: { acceptInsecureCerts: true },
        hash: `#config.resolution=${height}`,
      });
      undo.push(() => person.leave());
      browsers.push(person);
    }
    for (const person of browsers) await person.join();
    for (const person of browsers) {
      let seen = [];
      await until(`${person.name} sees the other browser and hears all`, 60, async () => {
        seen = await person.evaluate(progress);
        const other = seen.find((one) => one.name === (person.name === "Firefox" ? "Chromium" : "Firefox"));
        return other?.framesDecoded > 0 && seen.filter((one) => one.audioPackets > 0).length === OTHERS + 1;
      }).catch(async (error) => {
        throw new Error(`${error.message}; has ${JSON.stringify(seen)}; ${await person.complaints()}`);
      });
    }
    await sleep(SETTLE_MS);
    const before = processorTime();
    await Promise.all(browsers.map((person) => person.evaluate(startWatch, LOOK_MS)));
    await sleep(seconds * 1000);
    const busy = busyShare(before, processorTime());
    const results = [];
    for (const person of browsers) {
      const names = new Map((await person.evaluate(people)).map(({ id, name }) => [id, name]));
      const { tracks, sent, seconds: measured } = await person.evaluate(endWatch);
      for (const track of tracks) track.from = names.get(track.source?.slice(0, 8)) ?? track.source;
      results.push({ browser: person.name, seconds: measured, sent, tracks: tracks.filter((track) => track.packetsReceived > 0) });
    }
    return { network, busy, results };
  } catch (error) {
    throw new Error(`${network}: ${error.stack}`);
  } finally {
    for (const step of undo.reverse()) await step();
  }
};

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const tell = ({ network, busy, results }) => {
  console.log(`\n${network}: processor ${Math.round(busy * 100)} % busy${busy > 0.9 ? " (void: what is late may be late for that)" : ""}`);
  const video = [];
  const audio = [];
  const out = [];
  for (const { browser, tracks, sent } of results) {
    for (const one of sent) {
      const { kind, lines, packetsSent, retransmittedPacketsSent, nackCount, framesEncoded, keyFramesEncoded, pliCount, targetBitrate } = one;
      const rate = targetBitrate == null ? null : Math.round(targetBitrate / 1000);
      out.push([`${browser} sends ${kind}`, lines, packetsSent, retransmittedPacketsSent, nackCount, framesEncoded, keyFramesEncoded, pliCount, rate]);
    }
    for (const track of tracks) {
      const who = `${track.from} → ${browser}`;
      const received = [track.packetsReceived, track.packetsLost, track.jitterBufferDelayMs.toFixed(0)];
      if (track.kind === "video") {
        const heights = Object.entries(track.heights).sort((a, b) => b[1] - a[1]);
        const { framesDecoded, freezeCount, totalFreezesDuration, longestFreeze, pauses, pausedSeconds, stillSeconds, isPausedAtEnd, pliCount, nackCount } = track;
        const still = stillSeconds < 1 ? "0" : `${stillSeconds.toFixed(1)}${isPausedAtEnd ? ", not sent" : ""}`;
        const pause = pauses > 0 ? `${pauses}, ${pausedSeconds.toFixed(1)} s` : "0";
        video.push([who, heights[0]?.[0], ...received, framesDecoded, freezeCount, totalFreezesDuration?.toFixed(2), longestFreeze.toFixed(2), pause, still, pliCount, nackCount]);
      } else {
        const { concealedSamples, silentConcealedSamples, concealmentEvents, longestGapMs, totalSamplesReceived } = track;
        const share = totalSamplesReceived > 0 ? `${((100 * concealedSamples) / totalSamplesReceived).toFixed(2)} %` : null;
        audio.push([who, ...received, concealedSamples, silentConcealedSamples, share, concealmentEvents, longestGapMs.toFixed(0)]);
      }
    }
  }
  printTable(["video", "lines", "packets", "lost", "buffer ms", "framesDecoded", "freezeCount", "totalFreezesDuration", "longest s", "of them not sent", "still at the end s", "PLI", "NACK"], video);
  console.log();
  printTable(["", "lines", "packets", "sent again", "NACK", "framesEncoded", "key frames", "PLI", "kbit/s at the end"], out);
  console.log();
  printTable(["audio", "packets", "lost", "buffer ms", "concealedSamples", "silent", "share", "concealmentEvents", "longest ms"], audio);
};

const SETTLE_MS = 10_000;
const LOOK_MS = 100;

const all = [];
for (const network of networks) {
  const result = await measure(network);
  tell(result);
  all.push(result);
}
save("quality", all);
process.exit(0);
