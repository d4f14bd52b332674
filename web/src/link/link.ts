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
import { Hosting } from "./hosting";
import { readJingle, writeJingle } from "./jingle";
import type { JingleOut } from "./jingle";
import { OWN_SOURCES, sourceName } from "./media_connection";
import type { OwnSource } from "./media_connection";
import { MediaPaths } from "./media_paths";
import type { JingleAnswer, SourceReport } from "./media_paths";
import { NS } from "./namespaces";
import type { Order } from "./orders";
import { jingleReply, refusal, result } from "./replies";
import type { OwnPresence, Room, RoomEvent, StanzaProblem } from "./room";
import { NO_SERVICES, readServiceMessage, readServices } from "./services";
import type { ServiceMessage, Services } from "./services";
import { dialStrophe } from "./transport";
import { Waiting } from "./waiting";
import type { WaitingEvent } from "./waiting";
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
  readonly #mainRoom: string;
  readonly #caps: Promise<XmlElement | null>;
  /** The room in which we are or want to be: the main room, or one of its breakout rooms. */
  #roomJid: string;
  #room: Room | null = null;
  #hosting: Hosting | null = null;
  #waiting: Waiting | null = null;
  #services: Services = NO_SERVICES;
  #password: string | null = null;
  #entering: Entering | null = null;
  #paths: MediaPaths | null = null;
  #iceServers: readonly RTCIceServer[] = [];
  #constraints: VideoConstraints = { heights: new Map(), onStage: [] };
  #name = "";
  /** As in `OwnPresence`. */
  #handAt: number | null = null;
  #hasSharedScreen = false;
  /** What our last presence in this room said. */
  #saidPresence = "";
  #isPresenceDue = false;
  /** We want to be in the room, so after a lost session we go there again. */
  #isWanted = false;

  constructor(options: LinkOptions) {
    this.#config = options.config;
    this.#listener = options.listener;
    this.#mainRoom = roomJid(options.config, options.roomName);
    this.#roomJid = this.#mainRoom;
    this.#caps = capsElement();
    this.#connection = new Connection({
      url: withQuery(options.config.webSocketUrl, "room", options.roomName),
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
    // Chromium says so of every change of address.
    window.addEventListener("online", () => {
      this.#connection.renew();
      this.#paths?.networkChanged();
    });
    void this.#capture.listDevices();
  }

  // Commands

  /** Also with what an earlier refusal asked for: a name, or a password (null: the one that we know, if any). */
  enter(name: string, password: string | null): void {
    this.#name = name;
    this.#password = password ?? this.#password;
    this.#isWanted = true;
    if (this.#connection.isOpen) void this.#enterRoom();
    else this.#connection.open();
  }

  /** Waits in the lobby of the room that has refused us. */
  knock(lobby: string): void {
    if (this.#waiting?.lobby === lobby) return;
    this.#isWanted = true;
    this.#stopWaiting();
    this.#waiting = new Waiting({
      connection: this.#connection,
      lobby,
      mainRoom: this.#mainRoom,
      name: this.#name,
      listener: (event) => this.#waitingChanged(event),
    });
  }

  /** Says goodbye to the room and ends the session, at once: nothing is waited for. */
  leave(): void {
    const last = [this.#room?.leavePresence(), this.#waiting?.leavePresence()].filter((stanza) => stanza !== undefined);
    this.#stop(last);
  }

  rename(name: string): void {
    this.#name = name;
    this.#tellPresence();
  }

  /** Raises the hand (since when, in milliseconds since 1970), or lowers it. */
  setHand(at: number | null): void {
    this.#handAt = at ?? (this.#handAt === null ? null : 0);
    this.#tellPresence();
  }

  /** Goes to another room of the meeting; null is the main room. */
  moveTo(room: string | null): void {
    this.#move(room ?? this.#mainRoom, "wish");
  }

  order(order: Order): void {
    this.#hosting?.carryOut(order);
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
        this.#forgetRoom(false);
        // The lobby has forgotten us, too: the room will refuse us again, or not.
        this.#waiting = null;
        void this.#askForIceServers();
        void this.#askForServices();
        if (this.#isWanted) void this.#enterRoom();
        return;
      case "waiting": {
        const { attempt, nextAttemptAt } = event;
        this.#listener({ kind: "line-lost", attempt, nextAttemptAt, isOffline: !navigator.onLine });
        return;
      }
      case "login-refused":
        this.#isWanted = false;
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

  async #askForServices(): Promise<void> {
    const iq = element(
      "iq",
      { xmlns: NS.client, type: "get", to: this.#config.domain },
      element("query", { xmlns: NS.discoInfo }),
    );
    try {
      this.#services = readServices(await this.#connection.request(iq));
    } catch {
      // A server without services, or a new session that asks again.
      return;
    }
    const { lobby, breakout, moderation } = this.#services;
    this.#listener({
      kind: "services",
      hasLobby: lobby !== null,
      hasRooms: breakout !== null,
      hasModeration: moderation !== null,
    });
  }

  // The room

  async #enterRoom(): Promise<void> {
    const caps = await this.#caps.catch(() => null);
    if (!this.#isWanted) return;
    this.#entering?.stop();
    const entering = new Entering({
      config: this.#config,
      connection: this.#connection,
      roomJid: this.#roomJid,
      password: this.#password,
      caps,
      presence: () => {
        const presence = this.#presence();
        this.#saidPresence = JSON.stringify(presence);
        return presence;
      },
      joining: (room) => {
        this.#room = room;
        this.#hosting?.close(true);
        this.#hosting = this.#createHosting(room);
        this.#paths?.close();
        this.#paths = this.#createPaths(room);
      },
      refused: (error) => this.#refused(error),
    });
    this.#entering = entering;
    entering.start();
  }

  #createPaths(room: Room): MediaPaths {
    return new MediaPaths({
      config: this.#config,
      id: room.nick,
      roomJid: room.jid,
      tracks: this.#capture.tracks,
      constraints: this.#constraints,
      iceServers: () => this.#iceServers,
      send: (to, jingle) => this.#sendJingle(to === "focus" ? (room.focus ?? `${room.jid}/focus`) : `${room.jid}/${to}`, jingle),
      listener: (event) => {
        if (this.#room === room) this.#listener(event);
      },
      interrupted: () => {
        // Firefox says nothing of a change of address, but its connections notice.
        this.#connection.checkNow();
        this.#paths?.networkChanged();
      },
      lost: () => this.#reenter(room),
    });
  }

  #createHosting(room: Room): Hosting {
    return new Hosting({
      connection: this.#connection,
      room,
      services: () => this.#services,
      listener: (event) => {
        if (this.#room === room) this.#listener(event);
      },
    });
  }

  #refused(error: StanzaProblem): void {
    this.#forgetRoom();
    if (this.#roomJid !== this.#mainRoom) {
      // The breakout room was closed; the meeting goes on.
      this.#move(this.#mainRoom, "room-gone");
      return;
    }
    this.#isWanted = this.#waiting !== null;
    this.#listener({ kind: "join-refused", error });
  }

  /** From one room of the meeting to another. */
  #move(room: string, cause: Extract<LinkEvent, { kind: "moving" }>["cause"]): void {
    if (!this.#isWanted || room === this.#roomJid) return;
    if (this.#room !== null) this.#connection.send(this.#room.leavePresence("switch_room"));
    this.#forgetRoom();
    this.#roomJid = room;
    // A hand was raised for those who were there.
    this.#handAt = null;
    this.#listener({ kind: "moving", room, isMain: room === this.#mainRoom, cause });
    void this.#enterRoom();
  }

  #waitingChanged(event: WaitingEvent): void {
    switch (event.kind) {
      case "admitted":
        this.#password = event.password ?? this.#password;
        this.#stopWaiting();
        void this.#enterRoom();
        return;
      case "denied":
        this.#stop();
        this.#listener({ kind: "denied" });
        return;
      case "ended":
        this.#stop();
        this.#listener({ kind: "ended", reason: event.reason });
        return;
      case "refused":
        this.#waiting = null;
        this.#isWanted = false;
        this.#listener({ kind: "join-refused", error: event.error });
        return;
    }
  }

  #stopWaiting(): void {
    if (this.#waiting !== null) this.#connection.send(this.#waiting.leavePresence());
    this.#waiting = null;
  }

  /** Out of everything, and the line goes down. */
  #stop(last: readonly XmlElement[] = []): void {
    this.#isWanted = false;
    this.#forgetRoom();
    this.#waiting = null;
    this.#roomJid = this.#mainRoom;
    this.#handAt = null;
    this.#connection.close(last);
  }

  /** Leaves the room and comes back: the focus then invites us like a newcomer. */
  #reenter(room: Room): void {
    if (this.#room !== room) return;
    this.#connection.send(room.leavePresence());
    this.#listener({ kind: "session-lost" });
    this.#forgetRoom();
    void this.#enterRoom();
  }

  #forgetRoom(isSameSession = true): void {
    this.#entering?.stop();
    this.#entering = null;
    this.#hosting?.close(isSameSession);
    this.#hosting = null;
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
      handAt: this.#handAt,
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
    const message = readServiceMessage(stanza, this.#config.domain);
    if (message !== null) {
      this.#serviceTold(message);
      return;
    }
    if (this.#waiting?.receive(stanza) === true || this.#hosting?.receive(stanza) === true) return;
    for (const event of this.#room?.receive(stanza) ?? []) this.#roomChanged(event);
  }

  #serviceTold(message: ServiceMessage): void {
    if (message.kind === "sent-to") this.#move(message.room, "sent");
    // How newcomers begin concerns who is not inside yet.
    else if (message.kind !== "start-muted" || this.#room?.isJoined === false) this.#listener({ kind: "service", message });
  }

  #roomChanged(event: RoomEvent): void {
    const room = this.#room;
    if (room === null) return;
    switch (event.kind) {
      case "joined":
        this.#entering?.stop();
        this.#stopWaiting();
        // What changed while we joined.
        this.#tellPresence();
        this.#hosting?.setModerator(event.isModerator);
        void this.#hosting?.askRoom();
        this.#tellStartMuted(room.occupants.size + 1);
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
      case "ended":
        if (event.alternate === this.#mainRoom && room.jid !== this.#mainRoom) {
          this.#forgetRoom();
          this.#move(this.#mainRoom, "room-gone");
          return;
        }
        this.#stop();
        this.#listener({ kind: "ended", reason: event.reason });
        return;
      case "removed":
        this.#stop();
        this.#listener(event);
        return;
      case "configuration-changed":
        void this.#hosting?.askRoom();
        return;
      case "role":
        this.#hosting?.setModerator(event.isModerator);
        this.#listener(event);
        return;
      case "bridge-missing":
      case "subject":
      case "chat":
      case "chat-refused":
        this.#listener(event);
        return;
    }
  }

  /** From the n-th person on newcomers begin silent, or without picture. */
  #tellStartMuted(count: number): void {
    const { microphone, camera } = this.#config.startMutedAfter;
    const message = { kind: "start-muted", microphone: count > microphone, camera: count > camera } as const;
    if (message.microphone || message.camera) this.#listener({ kind: "service", message });
  }

  // Requests to us

  #receiveRequest(iq: XmlElement): void {
    const from = attribute(iq, "from");
    const type = attribute(iq, "type");
    const query = child(iq, "query", NS.discoInfo);
    const jingle = child(iq, "jingle", NS.jingle);
    const mute = child(iq, "mute");
    if (type === "get" && query !== null) this.#sendReply(result(iq, discoAnswer(query)));
    else if (type === "get" && child(iq, "ping", NS.ping) !== null) this.#sendReply(result(iq));
    else if (type === "set" && jingle !== null && from !== null) this.#receiveJingle(iq, from, jingle);
    else if (type === "set" && mute !== null && from !== null) this.#receiveMute(iq, from, mute);
    else this.#sendReply(refusal(iq, "cancel", element("service-unavailable", { xmlns: NS.stanzas })));
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
    this.#sendReply(jingleReply(iq, answer));
  }

  /** The focus passes on a moderator's wish. It can only mute; switching on is the user's own. */
  #receiveMute(iq: XmlElement, from: string, mute: XmlElement): void {
    this.#sendReply(result(iq));
    if (from !== this.#room?.focus || text(mute) !== "true") return;
    const source = MUTE_SOURCES.get(attribute(mute, "xmlns") ?? "");
    if (source === undefined) return;
    const actor = attribute(mute, "actor");
    this.#listener({ kind: "muted-by", source, by: actor === null ? null : actor.slice(actor.indexOf("/") + 1) });
    this.#capture.set(source, false);
  }

  #sendReply(reply: XmlElement | null): void {
    if (reply !== null) this.#connection.send(reply);
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
