// Places with an access network of their own, in network namespaces. The server stays outside.
//
// Delay, loss and rate come from the kernel's netem where it has it, and otherwise from
// tertulia-link (bench/src/link), which has the same networks and a NAT besides.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";

const LINK =
  process.env.MEASURE_LINK ?? new URL("../../../target/release/tertulia-link", import.meta.url).pathname;

const ip = (...args) => execFileSync("ip", args.map(String), { stdio: ["ignore", "pipe", "pipe"] }).toString();

/**
 * Runs the calling script once more in a network namespace in which nothing else is, and ends with its exit code.
 * Returns only inside.
 */
export const standApart = () => {
  if (process.env.MEASURE_PLACE === "inside") {
    ip("link", "set", "lo", "up");
    return;
  }
  if (process.getuid() !== 0) {
    console.error("measuring needs root: it makes network namespaces and devices");
    process.exit(2);
  }
  const env = { ...process.env, MEASURE_PLACE: "inside" };
  const { status } = spawnSync("unshare", ["--net", process.execPath, ...process.argv.slice(1)], { env, stdio: "inherit" });
  process.exit(status ?? 1);
};

/** Whether this kernel can impair a network by itself. */
const hasNetem = () => {
  return spawnSync("tc", ["qdisc", "add", "dev", "lo", "root", "netem", "delay", "0ms"]).status === 0 &&
    spawnSync("tc", ["qdisc", "del", "dev", "lo", "root"]).status === 0;
};

const netemArguments = (network) => execFileSync(LINK, ["--netem", network]).toString().trim().split(" ");

let count = 0;

export class Access {
  /**
   * Makes a place behind `network`. `isLink` insists on tertulia-link, whose NAT can move flows.
   * By `gateway` the place reaches the server; `address` is its own.
   */
  static async create(network, { isLink = false } = {}) {
    if (!existsSync(LINK)) throw new Error(`no ${LINK}: cargo build --release -p tertulia-bench --bin tertulia-link`);
    const access = new Access();
    count += 1;
    access.number = count;
    access.space = `tertulia-${process.pid}-${count}`;
    access.outside = `access${count}`;
    access.host = 2;
    ip("netns", "add", access.space);
    const inside = `inside${count}`;
    access.isLink = isLink || !hasNetem();
    if (access.isLink) await access.#link(network, inside);
    else ip("link", "add", access.outside, "type", "veth", "peer", "name", inside);
    // A browser takes a device called tun for a VPN.
    ip("link", "set", inside, "netns", access.space, "name", DEVICE);
    ip("address", "add", `${access.gateway}/24`, "dev", access.outside);
    ip("link", "set", access.outside, "up");
    ip("-n", access.space, "link", "set", "lo", "up");
    ip("-n", access.space, "address", "add", `${access.address}/24`, "dev", DEVICE);
    ip("-n", access.space, "link", "set", DEVICE, "up");
    ip("-n", access.space, "route", "add", "default", "via", access.gateway);
    if (!access.isLink) access.#netem("add", network);
    return access;
  }

  async #link(network, inside) {
    this.program = spawn(LINK, [network, this.outside, inside], { stdio: ["pipe", "pipe", "inherit"] });
    this.lines = createInterface({ input: this.program.stdout })[Symbol.asyncIterator]();
    const { value } = await this.lines.next();
    if (value !== "ready") throw new Error(`${LINK} did not start`);
  }

  /** Packets of offloaded runs are lost one by one, as on a real line. */
  #netem(verb, network) {
    const both = [[], ["-n", this.space]];
    for (const [index, where] of both.entries()) {
      const device = index === 0 ? this.outside : DEVICE;
      if (verb === "add") ip(...where, "link", "set", device, "gso_max_segs", 1);
      execFileSync("tc", [...where, "qdisc", verb, "dev", device, "root", "netem", ...netemArguments(network)]);
    }
  }

  get gateway() {
    return `10.88.${this.number}.1`;
  }

  get address() {
    return `10.88.${this.number}.${this.host}`;
  }

  /** What prefixes a command that is to run here. */
  get prefix() {
    return ["ip", "netns", "exec", this.space];
  }

  /** Another network from now on. */
  change(network) {
    if (this.isLink) this.program.stdin.write(`network ${network}\n`);
    else this.#netem("change", network);
  }

  /** The NAT gives each UDP flow another port outside. */
  rebind() {
    if (!this.isLink) throw new Error("netem has no NAT");
    this.program.stdin.write("rebind\n");
  }

  /** The place gets another address and loses the old one, with all connections over it. */
  move() {
    const old = this.address;
    this.host += 1;
    ip("-n", this.space, "address", "flush", "dev", DEVICE);
    ip("-n", this.space, "address", "add", `${this.address}/24`, "dev", DEVICE);
    ip("-n", this.space, "route", "replace", "default", "via", this.gateway);
    return { from: old, to: this.address };
  }

  /** Takes the place away; gives what the link carried, where it counts. */
  async remove() {
    let carried = null;
    if (this.isLink) {
      this.program.stdin.end();
      const { value } = await this.lines.next();
      carried = value === undefined ? null : JSON.parse(value);
    }
    ip("netns", "del", this.space);
    return carried;
  }
}

const DEVICE = "wlan0";
