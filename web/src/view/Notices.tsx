/**
 * What the user is told once, above the tiles: one notice at a time per kind, three at most. Those without action go
 * by themselves; they wait while somebody reads them. What only ears need goes to the live region.
 */

import { type Accessor, createEffect, createMemo, createSignal, For, type JSX, on, onCleanup, Show, untrack } from "solid-js";
import type { Text } from "../i18n/messages";
import type { Meeting } from "../meeting/meeting";
import type { Capture, MeetingState, NoticeBody, SourceKind, Visitor } from "../meeting/state";
import { announce } from "./announce";
import { type BrokenLine, brokenLine, countdown } from "./countdown";
import { deviceProblem, explain } from "./device_problem";
import type { IconName } from "./icons";
import { t } from "./language";
import type { PanelKind } from "./Panel";
import { Icon, plain, Words } from "./parts";
import { playBlockedSound } from "./Sound";

interface Notice {
  readonly kind: string;
  readonly icon: IconName;
  readonly text: () => Text;
  readonly warn?: boolean;
  readonly action?: { readonly word: () => string; readonly run: () => void };
}

const OFF: Record<SourceKind, IconName> = { microphone: "mic-off", camera: "video-off", screen: "screen-share" };

const GONE_AFTER_MS = 6_000;
const JOINS_TOGETHER_MS = 3_000;
const AT_ONCE = 3;
/** In a large room people come and go all the time. */
const SILENT_FROM = 15;
const SPOKEN_CHARACTERS = 80;

export function Notices(props: {
  meeting: Meeting;
  state: Accessor<MeetingState>;
  panel: PanelKind | null;
  onOpen: (panel: PanelKind) => void;
  soundBlocked: boolean;
  onSound: () => void;
}): JSX.Element {
  const isChatOpen = (): boolean => props.panel === "chat";
  const [shown, setShown] = createSignal<readonly Notice[]>([]);
  const show = (notice: Notice): void => {
    setShown((notices) => [...notices.filter((old) => old.kind !== notice.kind), notice].slice(-AT_ONCE));
  };
  const hide = (kind: string): void => {
    setShown((notices) => notices.filter((notice) => notice.kind !== kind));
  };
  const nameOr = (name: string): string => (name === "" ? t().guest : name);

  // Joins within a few seconds are one notice.
  let joined: { names: string[]; last: number } = { names: [], last: 0 };
  const noteJoin = (name: string, at: number): void => {
    if (props.state().participants.length + 1 >= SILENT_FROM) return;
    const names = at - joined.last < JOINS_TOGETHER_MS ? [...joined.names, nameOr(name)] : [nameOr(name)];
    joined = { names, last: at };
    show({ kind: "joined", icon: "user-plus", text: () => t().notices.joined(names) });
  };

  const take = (body: NoticeBody, at: number): void => {
    switch (body.kind) {
      case "joined":
        return noteJoin(body.name, at);
      case "left":
        if (props.state().participants.length < SILENT_FROM) announce(t().notices.left(nameOr(body.name)));
        return;
      case "reconnected":
        return show({ kind: "line", icon: "check", text: () => t().notices.reconnected });
      case "muted-by":
        return show({
          kind: `muted-${body.source}`,
          icon: OFF[body.source],
          text: () => t().notices.mutedBy(body),
        });
      case "device-lost":
        if (body.source === "screen")
          return show({ kind: "screen", icon: "screen-share", text: () => t().notices.screenEnded });
        return show({
          kind: `device-${body.source}`,
          icon: body.source === "camera" ? "video-off" : "mic-off",
          warn: true,
          text: () => (body.source === "camera" ? t().notices.cameraLost : t().notices.microphoneLost),
        });
      case "source-refused":
        return show({
          kind: `refused-${body.source}`,
          icon: "triangle-alert",
          warn: true,
          text: () => t().notices.sourceRefused(body.source),
        });
      case "chat-failed":
        if (isChatOpen()) return;
        return show({
          kind: "chat",
          icon: "message-square-text",
          warn: true,
          text: () => t().notices.chatFailed,
          action: { word: () => t().chat.title, run: () => props.onOpen("chat") },
        });
      case "no-bridge":
        return show({ kind: "bridge", icon: "wifi-off", warn: true, text: () => t().notices.noBridge });
      case "hand":
        if (!props.state().self.isModerator) return announce(plain(t().notices.hand(nameOr(body.name))));
        return show({ kind: "hand", icon: "hand", text: () => t().notices.hand(nameOr(body.name)) });
      case "role":
        return show({ kind: "role", icon: "shield-check", text: () => t().notices.role(body.isModerator) });
      case "start-muted":
        return show({ kind: "start-muted", icon: body.microphone ? "mic-off" : "video-off", text: () => t().notices.startMuted(body) });
      case "moved":
        // In a breakout room its own line says so all the time.
        if (body.name !== null) return;
        return show({
          kind: "moved",
          icon: "split",
          text: () => (body.cause === "room-gone" ? t().notices.roomClosed : t().notices.backInMain),
        });
      case "order-refused":
        return show({
          kind: `order-${body.order}`,
          icon: "triangle-alert",
          warn: true,
          text: () => t().notices.refused[body.order],
        });
      case "permission-rule":
      case "permission":
      case "permission-needed":
      case "asked":
        return notePermission(body);
    }
  };

  /** What needs permission: with the button that helps. */
  const notePermission = (
    body: Extract<NoticeBody, { kind: "permission-rule" | "permission" | "permission-needed" | "asked" }>,
  ): void => {
    const { source } = body;
    const raise = { word: () => t().toolbar.raiseHand, run: () => props.meeting.raiseHand(true) };
    const switchOn =
      source === "microphone"
        ? { word: () => t().toolbar.unmute, run: () => switchOnOnce("microphone", () => props.meeting.toggleMicrophone()) }
        : source === "camera"
          ? { word: () => t().toolbar.cameraOn, run: () => switchOnOnce("camera", () => props.meeting.toggleCamera()) }
          : { word: () => t().toolbar.shareStart, run: () => props.meeting.startScreenShare() };
    const kind = `permission-${source}`;
    const icon = OFF[source];
    switch (body.kind) {
      case "permission-rule":
        return show({ kind, icon, text: () => t().notices.rule({ source, isNeeded: body.isNeeded }) });
      case "permission-needed":
        return show({
          kind,
          icon,
          warn: true,
          text: () => t().notices.permissionNeeded(source),
          ...(props.state().self.handAt === null ? { action: raise } : {}),
        });
      case "permission":
        return show({
          kind,
          icon: body.isGiven ? "check" : icon,
          text: () => t().notices.permission({ source, isGiven: body.isGiven }),
          ...(body.isGiven ? { action: switchOn } : {}),
        });
      case "asked":
        return show({ kind, icon: "mic", text: () => t().notices.asked(body.by), action: switchOn });
    }
  };
  const switchOnOnce = (source: "microphone" | "camera", toggle: () => void): void => {
    if (props.state().self[source].kind !== "on") toggle();
  };

  // The view takes each notice over, once.
  let newest = 0;
  createEffect(() => {
    for (const notice of props.state().notices) {
      if (notice.id > newest) {
        newest = notice.id;
        untrack(() => take(notice.body, notice.at));
      }
      queueMicrotask(() => props.meeting.dismissNotice(notice.id));
    }
  });

  // A device that was asked for here and could not be had.
  const noteFailure = (kind: "microphone" | "camera" | "screen"): void => {
    createEffect(
      on(
        (): Capture => props.state().self[kind],
        (capture, before) => {
          if (capture.kind !== "failed" || before === undefined || before.kind === "failed") return;
          const only = { ...props.state().self, [kind]: capture, ...(kind === "camera" ? { microphone: { kind: "off" } as const } : { camera: { kind: "off" } as const }) };
          const problem = kind === "screen" ? null : deviceProblem(only);
          show({
            kind: `device-${kind}`,
            icon: kind === "camera" ? "video-off" : kind === "microphone" ? "mic-off" : "screen-share",
            warn: true,
            text: () => (problem === null ? t().problems[capture.problem.code].title : explain(problem).title),
          });
        },
      ),
    );
  };
  noteFailure("microphone");
  noteFailure("camera");

  createEffect(
    on(
      () => props.state().self.screen.kind,
      (kind, before) => {
        if (kind === "on" && before !== "on")
          show({ kind: "screen", icon: "screen-share", text: () => t().notices.sharing });
        else if (kind !== "on") hide("screen");
      },
      { defer: true },
    ),
  );

  // For ears: a message while the chat is closed, and who begins to show a screen.
  const lastMessage = createMemo(() => props.state().chat.at(-1));
  createEffect(
    on(
      () => lastMessage()?.id,
      () => {
        const message = lastMessage();
        if (message === undefined || message.isOwn || isChatOpen()) return;
        announce(t().chat.spoken({ name: nameOr(message.name), text: message.text.slice(0, SPOKEN_CHARACTERS) }));
      },
      { defer: true },
    ),
  );
  const presenter = createMemo(() =>
    props.state().participants.find((p) => p.sources.some((source) => source.kind === "screen" && !source.isMuted)),
  );
  createEffect(
    on(
      () => presenter()?.id,
      () => {
        const person = presenter();
        if (person !== undefined) announce(t().notices.shareStarted(nameOr(person.name)));
      },
      { defer: true },
    ),
  );

  const line = createMemo(() => brokenLine(props.state().connection));

  return (
    <div class="notices">
      <Show when={line()}>{(broken) => <Reconnecting line={broken} />}</Show>
      <Show when={props.soundBlocked}>
        <div class="notice" role="status" data-notice="sound">
          <Icon name="volume-2" />
          <span>
            <Words text={t().notices.soundBlocked} />
          </span>
          <button
            type="button"
            class="btn xs primary"
            data-action="play-sound"
            onClick={() => {
              playBlockedSound();
              props.onSound();
            }}
          >
            {t().notices.playSound}
          </button>
        </div>
      </Show>
      <Show when={props.state().place.room !== null}>
        <div class="notice" data-notice="breakout">
          <Icon name="split" />
          <span role="status">
            <Words text={t().notices.inRoom(props.state().place.name)} />
          </span>
          <button type="button" class="btn xs secondary" data-action="back-to-main" onClick={() => props.meeting.goTo(null)}>
            {t().notices.backToMain}
          </button>
        </div>
      </Show>
      <Show when={props.panel !== "people" && props.state().self.isModerator && props.state().door.waiting[0]}>
        {(first) => <Knock meeting={props.meeting} state={props.state} first={first} onOpen={() => props.onOpen("people")} />}
      </Show>
      <For each={shown()}>{(notice) => <Banner notice={notice} onGone={() => hide(notice.kind)} />}</For>
      <div class="vh" role="status">
        <For each={shown()}>{(notice) => <p>{plain(notice.text())}</p>}</For>
      </div>
    </div>
  );
}

/** Somebody waits in the lobby. */
function Knock(props: {
  meeting: Meeting;
  state: Accessor<MeetingState>;
  first: Accessor<Visitor>;
  onOpen: () => void;
}): JSX.Element {
  const names = (): string[] => props.state().door.waiting.map((visitor) => visitor.name || t().guest);
  return (
    <div class="notice" data-notice="knock">
      <Icon name="door-open" />
      <span role="status">
        <Words text={t().notices.knock(names())} />
      </span>
      <Show
        when={names().length === 1}
        fallback={
          <button type="button" class="btn xs primary" data-action="show-people" onClick={() => props.onOpen()}>
            {t().people.title}
          </button>
        }
      >
        <button
          type="button"
          class="btn xs secondary"
          data-action="deny"
          onClick={() => props.meeting.order({ kind: "deny", id: props.first().id })}
        >
          {t().people.deny}
        </button>
        <button
          type="button"
          class="btn xs primary"
          data-action="admit"
          onClick={() => props.meeting.order({ kind: "admit", ids: [props.first().id] })}
        >
          {t().people.admit}
        </button>
      </Show>
    </div>
  );
}

/** Counts down to the next attempt; said at once, and only once, to ears. */
function Reconnecting(props: { line: Accessor<BrokenLine> }): JSX.Element {
  const seconds = countdown(() => props.line());
  const words = (): Text =>
    props.line().isOffline
      ? t().notices.offline
      : seconds() > 0
        ? t().notices.reconnecting(seconds())
        : t().notices.reconnectingNow;
  return (
    <div class="notice warn" data-notice="reconnecting" data-seconds={seconds()}>
      <span class="spin" />
      <span aria-hidden="true">
        <Words text={words()} />
      </span>
      <span class="vh" role="alert">
        {plain(props.line().isOffline ? t().notices.offline : t().notices.reconnectingNow)}
      </span>
    </div>
  );
}

function Banner(props: { notice: Notice; onGone: () => void }): JSX.Element {
  const [isHeld, setIsHeld] = createSignal(false);
  createEffect(() => {
    if (isHeld() || props.notice.action !== undefined) return;
    const timer = setTimeout(() => props.onGone(), GONE_AFTER_MS);
    onCleanup(() => clearTimeout(timer));
  });
  return (
    <div
      class="notice"
      classList={{ warn: props.notice.warn === true }}
      data-notice={props.notice.kind}
      onMouseEnter={() => setIsHeld(true)}
      onMouseLeave={() => setIsHeld(false)}
      onFocusIn={() => setIsHeld(true)}
      onFocusOut={() => setIsHeld(false)}
    >
      <Icon name={props.notice.icon} />
      <span aria-hidden="true">
        <Words text={props.notice.text()} />
      </span>
      <Show when={props.notice.action}>
        {(action) => (
          <button
            type="button"
            class="btn xs secondary"
            onClick={() => {
              action().run();
              props.onGone();
            }}
          >
            {action().word()}
          </button>
        )}
      </Show>
      <button
        type="button"
        class="icon-btn"
        aria-label={t().notices.dismiss}
        title={t().notices.dismiss}
        onClick={() => props.onGone()}
      >
        <Icon name="x" />
      </button>
    </div>
  );
}
