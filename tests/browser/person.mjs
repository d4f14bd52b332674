// One person with a browser of their own: opens the page, joins, and tells what they see.
import puppeteer from "puppeteer-core";

// Two cores have to encode, decode and run three browsers: small pictures.
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding",
  "--disable-backgrounding-occluded-windows",
  "--auto-select-desktop-capture-source=Entire screen",
];

const FIREFOX_PREFERENCES = {
  "media.navigator.permission.disabled": true,
  "media.navigator.streams.fake": true,
  "media.autoplay.default": 0,
  // Fake devices are no permission, so Firefox would hide its addresses from peer-to-peer.
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  "network.proxy.type": 0,
};

// What a firewall that lets nothing but HTTPS pass leaves of a browser's ways.
// The switch has had two names.
const WITHOUT_UDP = ["webrtc", "force-webrtc"].map((name) => `--${name}-ip-handling-policy=disable_non_proxied_udp`);

const launch = (kind, flags, settings) =>
  kind === "firefox"
    ? puppeteer.launch({
        ...settings,
        browser: "firefox",
        executablePath: "/usr/bin/firefox-esr",
        headless: true,
        extraPrefsFirefox: FIREFOX_PREFERENCES,
      })
    : puppeteer.launch({
        ...settings,
        browser: "chrome",
        protocol: "webDriverBiDi",
        executablePath: "/usr/bin/chromium",
        headless: true,
        args: [...CHROMIUM_FLAGS, ...flags, ...(kind === "chromium without UDP" ? WITHOUT_UDP : [])],
      });

/** In the page: keeps all its connections, for Person.ways. */
const rememberConnections = () => {
  window.__connections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...configuration) {
      super(...configuration);
      window.__connections.push(this);
    }
  };
};

/** Waits until `probe` gives something truthy; says what was waited for when it does not. */
export const until = async (what, seconds, probe) => {
  const deadline = Date.now() + seconds * 1000;
  let last;
  for (;;) {
    last = await probe();
    if (last) return last;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

export class Person {
  /** Opens the browser and the room's page, up to the join button. `settings` are those of puppeteer's launch, `hash` the address's. */
  static async arrive(kind, origin, room, name, flags = [], settings = {}, hash = "") {
    const person = new Person();
    person.kind = kind;
    person.name = name;
    person.browser = await launch(kind, flags, settings);
    person.page = await person.browser.newPage();
    await person.page.evaluateOnNewDocument(rememberConnections);
    person.complaints = [];
    person.page.on("pageerror", (error) => person.complaints.push(String(error)));
    await person.page.goto(`${origin}/${room}?lang=en${hash}`);
    await person.page.waitForSelector('[data-action="join"]', { timeout: 15_000 });
    await (await person.page.waitForSelector("input[name=name]")).click();
    await person.page.keyboard.type(name);
    return person;
  }

  /** Clicks a button of the page by its data-action. */
  async press(action) {
    await (await this.page.waitForSelector(`[data-action="${action}"]`)).click();
  }

  /** Clicks on join; `joinedAt` is the moment of the click. */
  async join() {
    this.joinedAt = Date.now();
    await this.press("join");
  }

  /** What the page's debug object says of media, see web/src/meeting/debug.ts. */
  media() {
    return this.page.evaluate(async () => ({ path: window.__meeting.state.path, participants: await window.__meeting.stats() }));
  }

  /**
   * The ways that the page's connections have: for each, the local candidates it found, and the one of the pair in use
   * (None while there is none). A candidate is its type and its
   * protocol, for relays that by which the relay is reached: "relay tls".
   */
  ways() {
    return this.page.evaluate(async () => {
      const ways = [];
      for (const connection of window.__connections) {
        if (connection.connectionState === "closed") continue;
        const reports = [...(await connection.getStats()).values()];
        const name = (one) => (one ? `${one.candidateType} ${one.relayProtocol ?? one.protocol}` : null);
        const transport = reports.find((one) => one.type === "transport");
        const pair = reports.find((one) => one.id === transport?.selectedCandidatePairId);
        const used = reports.find((one) => one.id === pair?.localCandidateId);
        const found = reports.filter((one) => one.type === "local-candidate").map(name);
        ways.push({ state: connection.connectionState, used: name(used), found });
      }
      return ways;
    });
  }

  /** The participants whose tiles are on the grid, without oneself. */
  others() {
    return this.page.evaluate(() =>
      [...document.querySelectorAll("[data-participant]:not([hidden])")]
        .filter((tile) => tile.getAttribute("data-self") !== "true")
        .map((tile) => tile.getAttribute("data-participant")),
    );
  }

  async isOn(screen) {
    return (await this.page.$(`[data-screen="${screen}"]`)) !== null;
  }

  /** The browser dies without a word. */
  async die() {
    const child = this.browser.process();
    child.kill("SIGKILL");
    await new Promise((resolve) => (child.exitCode === null && child.signalCode === null ? child.once("exit", resolve) : resolve()));
  }

  async leave() {
    await this.browser.close().catch(() => {});
  }
}
