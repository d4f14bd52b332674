/**
 * Our own connection to a meeting: line, room, media and devices behind one set of commands and one stream of events.
 *
 * It repairs itself: a lost line is resumed, a lost session entered anew, a failed media connection restarted. What it
 * can't repair it reports; what to tell the user is decided above (`meeting/`).
 */

import { Capture } from "./capture";
import type { ChosenDevices } from "./capture";
import type { VideoConstraints } from "./channel_messages";
import { roomJid } from "./config";
import type { LinkConfig } from "./config";
import { Connection, RequestError, withQuery } from "./connection";
import type { ConnectionEvent } from "./connection";
import { capsElement, discoAnswer, readIceServers } from "./discovery";
import { Entering } from "./entering";
import type { LinkEvent } from "./events";
import { readJingle, writeJingle } from "./jingle";
import type { JingleOut } from "./jingle";
import { OWN_SOURCES, sourceName } from "./media_connection";
import type { OwnSource } from "./media_connection";
import { MediaPaths } from "./media_paths";
import type { JingleAnswer, SourceReport } from "./media_paths";
import { NS } from "./namespaces";
import type { OwnPresence, Room, RoomEvent } from "./room";
import { dialStrophe } from "./transport";
import { attribute, child, element, text } from "./xml";
import type { XmlElement } from "./xml";

export interface LinkOptions {
  readonly config: LinkConfig;
  /** As in the address. */
  readonly roomName: string;
  readonly listener: (event: LinkEvent) => void;
}

export class Link {
  readonly #config: LinkConfig;
  readonly #listener: (event: LinkEvent) => void;
  readonly #connection: Connection;
  readonly #capture: Capture;
  readonly #roomJid: string;
  readonly #caps: Promise<XmlElement | null>;
  #room: Room | null = null;
  #entering: Entering | null = null;
  #paths: MediaPaths | null = null;
  #iceServers: readonly RTCIceServer[] = [];
  #constraints: VideoConstraints = { heights: new Map(), onStage: [] };
  #name = "";
  #hasSharedScreen = false;
  /** What our last presence in this room said. */
  #saidPresence = "";
  #isPresenceDue = false;
  #isInside = false;

  constructor(options: LinkOptions) {
    this.#config = options.config;
    this.#listener = options.listener;
    this.#roomJid = roomJid(options.config, options.roomName);
    this.#caps = capsElement();
    this.#connection = new Connection({
      url: withQuery(options.config.webSocketUrl, "room", options.roomName.toLowerCase()),
      domain: options.config.domain,
      dial: dialStrophe,
      listener: (event) => this.#connectionChanged(event),
    });
    this.#capture = new Capture(options.config.captureHeight, {
      changed: (source, state) => {
        this.#listener({ kind: "capture", source, state });
        if (source === "screen" && state.kind === "on") this.#hasSharedScreen = true;
        if (state.kind !== "starting") this.#tellPresence();
      },
      tracksChanged: (tracks) => this.#paths?.setTracks(tracks),
      ended: (source) => this.#listener({ kind: "capture-ended", source }),
      devicesChanged: (devices) => this.#listener({ kind: "devices", devices }),
    });
    window.addEventListener("online", () => {
      this.#connection.retryNow();
      this.#connection.checkNow();
    });
    void this.#capture.listDevices();
  }

  // Commands

  enter(name: string): void {
    this.#name = name;
    this.#isInside = true;
    this.#connection.open();
  }

  /** Says goodbye to the room and ends the session, at once: nothing is waited for. */
  leave(): void {
    this.#isInside = false;
    const last = this.#room === null ? [] : [this.#room.leavePresence()];
    this.#forgetRoom();
    this.#connection.close(last);
  }

  rename(name: string): void {
    this.#name = name;
    this.#tellPresence();
  }

  prepareDevices(wanted: { readonly microphone: boolean; readonly camera: boolean }): void {
    this.#capture.prepare(wanted);
  }

  setCapture(source: OwnSource, isOn: boolean): void {
    this.#capture.set(source, isOn);
  }

  selectDevices(chosen: ChosenDevices): void {
    this.#capture.select(chosen);
  }

  stopDevices(): void {
    this.#capture.stop();
  }

  sendChat(id: string, body: string): void {
    if (this.#room !== null) this.#connection.send(this.#room.chatMessage(id, body));
  }

  setConstraints(constraints: VideoConstraints): void {
    this.#constraints = constraints;
    this.#paths?.setConstraints(constraints);
  }

  // What can't be told by events

  ownTrack(source: OwnSource): MediaStreamTrack | null {
    return this.#capture.tracks[source];
  }

  ownLevel(): number {
    return this.#capture.level();
  }

  track(source: string): MediaStreamTrack | null {
    return this.#paths?.track(source) ?? null;
  }

  audioLevel(source: string): number {
    return this.#paths?.audioLevel(source) ?? 0;
  }

  async statistics(source: string): Promise<SourceReport | null> {
    return (await this.#paths?.statistics(source)) ?? null;
  }

  // The line

  #connectionChanged(event: ConnectionEvent): void {
    switch (event.kind) {
      case "connecting":
        this.#listener({ kind: "connecting" });
        return;
      case "resumed":
        this.#listener({ kind: "connected" });
        return;
      case "bound":
        this.#listener({ kind: "connected" });
        if (this.#room !== null) this.#listener({ kind: "session-lost" });
        this.#forgetRoom();
        void this.#askForIceServers();
        void this.#enterRoom();
        return;
      case "waiting": {
        const { attempt, nextAttemptAt } = event;
        this.#listener({ kind: "line-lost", attempt, nextAttemptAt, isOffline: !navigator.onLine });
        return;
      }
      case "login-refused":
        this.#isInside = false;
        this.#forgetRoom();
        this.#listener({ kind: "login-refused", detail: event.detail });
        return;
      case "stanza":
        this.#receive(event.stanza);
        return;
    }
  }

  async #askForIceServers(): Promise<void> {
    const iq = element(
      "iq",
      { xmlns: NS.client, type: "get", to: this.#config.domain },
      element("services", { xmlns: NS.extdisco }),
    );
    try {
      this.#iceServers = readIceServers(await this.#connection.request(iq));
    } catch {
      // None are offered; direct addresses may do.
    }
  }

  // The room

  async #enterRoom(): Promise<void> {
    const caps = await this.#caps.catch(() => null);
    if (!this.#isInside) return;
    this.#entering?.stop();
    const entering = new Entering({
      config: this.#config,
      connection: this.#connection,
      roomJid: this.#roomJid,
      caps,
      presence: () => {
        const presence = this.#presence();
        this.#saidPresence = JSON.stringify(presence);
        return presence;
      },
      joining: (room) => {
        this.#room = room;
        this.#paths?.close();
        this.#paths = this.#createPaths(room);
      },
      refused: (error) => {
        this.#isInside = false;
        this.#forgetRoom();
        this.#connection.close();
        this.#listener({ kind: "join-refused", error });
      },
    });
    this.#entering = entering;
    entering.start();
  }

  #createPaths(room: Room): MediaPaths {
    return new MediaPaths({
      config: this.#config,
      id: room.nick,
      roomJid: this.#roomJid,
      tracks: this.#capture.tracks,
      constraints: this.#constraints,
      iceServers: () => this.#iceServers,
      send: (to, jingle) => this.#sendJingle(to === "focus" ? (room.focus ?? `${room.jid}/focus`) : `${room.jid}/${to}`, jingle),
      listener: (event) => {
        if (this.#room === room) this.#listener(event);
      },
      lost: () => this.#reenter(room),
    });
  }

  /** Leaves the room and comes back: the focus then invites us like a newcomer. */
  #reenter(room: Room): void {
    if (this.#room !== room) return;
    this.#connection.send(room.leavePresence());
    this.#listener({ kind: "session-lost" });
    this.#forgetRoom();
    void this.#enterRoom();
  }

  #forgetRoom(): void {
    this.#entering?.stop();
    this.#entering = null;
    this.#paths?.close();
    this.#paths = null;
    this.#room = null;
  }

  #presence(): OwnPresence {
    const nick = this.#room?.nick ?? "";
    const sources = OWN_SOURCES.filter((source) => source !== "screen" || this.#hasSharedScreen);
    return {
      name: this.#name,
      sources: sources.map((source) => ({
        name: sourceName(nick, source),
        isMuted: !this.#capture.isOn(source),
        isScreen: source === "screen",
      })),
    };
  }

  /** Once for all changes of one moment, and not at all if nothing is different. */
  #tellPresence(): void {
    if (this.#isPresenceDue) return;
    this.#isPresenceDue = true;
    queueMicrotask(() => {
      this.#isPresenceDue = false;
      const room = this.#room;
      const said = JSON.stringify(this.#presence());
      if (room === null || !room.isJoined || said === this.#saidPresence) return;
      this.#saidPresence = said;
      this.#connection.send(room.presence(this.#presence()));
    });
  }

  #receive(stanza: XmlElement): void {
    if (stanza.name === "iq") {
      this.#receiveRequest(stanza);
      return;
    }
    for (const event of this.#room?.receive(stanza) ?? []) this.#roomChanged(event);
  }

  #roomChanged(event: RoomEvent): void {
    const room = this.#room;
    if (room === null) return;
    switch (event.kind) {
      case "joined":
        this.#entering?.stop();
        // What changed while we joined.
        this.#tellPresence();
        this.#listener({ kind: "joined", id: room.nick, isModerator: event.isModerator, occupants: [...room.occupants.keys()] });
        this.#paths?.occupantsChanged(room.occupants, null);
        return;
      case "occupant":
        this.#listener(event);
        if (room.isJoined) this.#paths?.occupantsChanged(room.occupants, null);
        return;
      case "occupant-left":
        this.#listener({ kind: "occupant-left", id: event.nick });
        this.#paths?.occupantsChanged(room.occupants, event.nick);
        return;
      case "refused":
        this.#entering?.refusedByRoom(event.error);
        return;
      case "removed":
      case "ended":
        this.#isInside = false;
        this.#forgetRoom();
        this.#connection.close();
        this.#listener(event);
        return;
      case "bridge-missing":
      case "role":
      case "subject":
      case "chat":
      case "chat-refused":
        this.#listener(event);
        return;
    }
  }

  // Requests to us

  #receiveRequest(iq: XmlElement): void {
    const from = attribute(iq, "from");
    const type = attribute(iq, "type");
    const query = child(iq, "query", NS.discoInfo);
    const jingle = child(iq, "jingle", NS.jingle);
    const mute = child(iq, "mute");
    if (type === "get" && query !== null) this.#reply(iq, discoAnswer(query));
    else if (type === "get" && child(iq, "ping", NS.ping) !== null) this.#reply(iq, null);
    else if (type === "set" && jingle !== null && from !== null) this.#receiveJingle(iq, from, jingle);
    else if (type === "set" && mute !== null && from !== null) this.#receiveMute(iq, from, mute);
    else this.#refuse(iq, "cancel", element("service-unavailable", { xmlns: NS.stanzas }));
  }

  #receiveJingle(iq: XmlElement, from: string, of: XmlElement): void {
    const room = this.#room;
    const slash = from.indexOf("/");
    const nick = slash < 0 ? "" : from.slice(slash + 1);
    if (room === null || this.#paths === null || from.slice(0, slash) !== room.jid) {
      this.#answer(iq, "unknown-session");
      return;
    }
    const jingle = readJingle(of);
    // The answer goes first: what follows from the request may be sent at once, too.
    if (jingle.action === "session-initiate") this.#answer(iq, "result");
    const paths = this.#paths;
    const answer = from === room.focus ? paths.receiveFromFocus(jingle) : paths.receiveFromPeer(nick, jingle);
    if (jingle.action !== "session-initiate") this.#answer(iq, answer);
  }

  #answer(iq: XmlElement, answer: JingleAnswer): void {
    switch (answer) {
      case "result":
        this.#reply(iq, null);
        return;
      case "bad-request":
        this.#refuse(iq, "modify", element("bad-request", { xmlns: NS.stanzas }));
        return;
      case "unknown-session":
        this.#refuse(
          iq,
          "cancel",
          element("item-not-found", { xmlns: NS.stanzas }),
          element("unknown-session", { xmlns: NS.jingleErrors }),
        );
        return;
    }
  }

  /** The focus passes on a moderator's wish. It can only mute; switching on is the user's own. */
  #receiveMute(iq: XmlElement, from: string, mute: XmlElement): void {
    this.#reply(iq, null);
    if (from !== this.#room?.focus || text(mute) !== "true") return;
    const source = MUTE_SOURCES.get(attribute(mute, "xmlns") ?? "");
    if (source === undefined) return;
    this.#capture.set(source, false);
    const actor = attribute(mute, "actor");
    this.#listener({ kind: "muted-by", source, by: actor === null ? null : actor.slice(actor.indexOf("/") + 1) });
  }

  #reply(iq: XmlElement, payload: XmlElement | null): void {
    const attributes = {
      xmlns: NS.client,
      type: "result",
      to: attribute(iq, "from") ?? undefined,
      id: attribute(iq, "id") ?? undefined,
    };
    this.#connection.send(element("iq", attributes, payload));
  }

  #refuse(iq: XmlElement, type: string, ...conditions: readonly XmlElement[]): void {
    const kind = attribute(iq, "type");
    if (kind !== "get" && kind !== "set") return;
    const attributes = {
      xmlns: NS.client,
      type: "error",
      to: attribute(iq, "from") ?? undefined,
      id: attribute(iq, "id") ?? undefined,
    };
    this.#connection.send(element("iq", attributes, element("error", { type }, conditions)));
  }

  async #sendJingle(to: string, jingle: JingleOut): Promise<void> {
    const initiator = jingle.initiator ?? to;
    const responder = jingle.action === "session-accept" ? (jingle.responder ?? this.#connection.jid) : undefined;
    const iq = element("iq", { xmlns: NS.client, type: "set", to }, writeJingle({ ...jingle, initiator, responder }));
    try {
      await this.#connection.request(iq, JINGLE_TIMEOUT_MS);
    } catch (error) {
      // Two sides that end a session at once both hear that there is none.
      const isNews = error instanceof RequestError && error.condition !== "session-lost";
      if (isNews && jingle.action !== "session-terminate") {
        console.info(`jingle: ${jingle.action} refused: ${error.message}`);
      }
      throw error;
    }
  }
}

const MUTE_SOURCES: ReadonlyMap<string, OwnSource> = new Map<string, OwnSource>([
  [NS.muteAudio, "microphone"],
  [NS.muteVideo, "camera"],
  [NS.muteDesktop, "screen"],
]);

const JINGLE_TIMEOUT_MS = 10_000;
