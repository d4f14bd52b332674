// Starts the built server for one story, on ports of its own and with a folder of its own.
import { spawn } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { createSocket } from "node:dgram";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const BINARY = process.env.MEASURE_SERVER ?? new URL("../../target/release/tertulia", import.meta.url).pathname;

/** A TCP port that was free a moment ago. */
const freeTcpPort = () =>
  new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

/** A UDP port that was free a moment ago. */
const freeUdpPort = () =>
  new Promise((resolve, reject) => {
    const probe = createSocket("udp4").once("error", reject);
    probe.bind(0, () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

/** One server process; can be killed and started again on the same ports and data. */
export class Server {
  /** `environment` sets configuration keys, as TERTULIA_SECTION__KEY. */
  static async start(environment = {}) {
    const server = new Server();
    server.environment = {
      // Several stories' servers may run on one machine.
      TERTULIA_ADMIN__LISTEN: "[]",
      TERTULIA_TURN__LISTEN: '["127.0.0.1:0"]',
      TERTULIA_TURN__LISTEN_TCP: '["127.0.0.1:0"]',
      TERTULIA_TURN__LISTEN_TLS: "[]",
      ...environment,
    };
    server.folder = mkdtempSync(join(tmpdir(), "tertulia-story-"));
    server.http = await freeTcpPort();
    server.https = await freeTcpPort();
    server.media = await freeUdpPort();
    await server.run();
    return server;
  }

  get origin() {
    return `http://localhost:${this.http}`;
  }

  /** Starts the process; resolves when it answers. */
  async run() {
    const args = ["serve", "--data", join(this.folder, "data")];
    args.push("--listen-plain", `127.0.0.1:${this.http}`, "--listen", `[::]:${this.https}`, "--media-port", this.media);
    const env = { ...process.env, ...this.environment };
    this.process = spawn(BINARY, args.map(String), { env, stdio: ["ignore", "pipe", "pipe"] });
    this.output = "";
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on("data", (chunk) => (this.output += chunk));
    }
    this.exited = new Promise((resolve) => this.process.once("exit", resolve));
    const deadline = Date.now() + 10_000;
    for (;;) {
      try {
        // By address: a bare Debian root has no /etc/hosts, and only browsers know localhost by themselves.
        const response = await fetch(`http://127.0.0.1:${this.http}/config.js`);
        if (response.ok) return;
      } catch {
        // not listening yet
      }
      if (Date.now() > deadline || this.process.exitCode !== null) {
        throw new Error(`the server did not start:\n${this.output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** SHA-256 of the certificate's public key, as Chromium's exceptions name it. */
  get keyHash() {
    const certificate = new X509Certificate(readFileSync(join(this.folder, "data", "certificate.pem")));
    const key = certificate.publicKey.export({ type: "spki", format: "der" });
    return createHash("sha256").update(key).digest("base64");
  }

  /** Ends the process by a signal and waits for its end. */
  async end(signal = "SIGTERM") {
    this.process.kill(signal);
    await this.exited;
  }

  async discard() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.end("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
