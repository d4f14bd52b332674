/** Inside the meeting: stage, chat, toolbar. */

import { type Accessor, createEffect, createMemo, createSignal, type JSX, on, onCleanup, onMount, Show } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { MeetingState } from "../meeting/state";
import { announcement } from "./announce";
import { Chat } from "./Chat";
import { t } from "./language";
import { Notices } from "./Notices";
import { Icon } from "./parts";
import { Sound } from "./Sound";
import { Tiles } from "./Tiles";
import { Toolbar } from "./Toolbar";

const COPIED_MS = 2_000;

export function MeetingPage(props: { meeting: Meeting; state: Accessor<MeetingState>; roomName: string }): JSX.Element {
  const [isChatOpen, setIsChatOpen] = createSignal(false);
  const [soundBlocked, setSoundBlocked] = createSignal(false);
  let page!: HTMLDivElement;

  const foreign = createMemo(() => props.state().chat.filter((message) => !message.isOwn).length);
  const [read, setRead] = createSignal(foreign());
  createEffect(() => {
    if (isChatOpen()) setRead(foreign());
  });
  const unread = (): number => Math.max(0, foreign() - read());

  const closeChat = (): void => {
    setIsChatOpen(false);
    page.querySelector<HTMLElement>('[data-action="chat"]')?.focus();
  };

  const isAlone = createMemo(() => !props.state().participants.some((participant) => participant.isOnGrid));

  // F6 goes round: stage, panel, bar.
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "F6") return;
    const stops = [".tiles [tabindex='0']", ".panel textarea", ".tools [tabindex='0']"].flatMap((selector) => {
      const element = page.querySelector<HTMLElement>(selector);
      return element === null ? [] : [element];
    });
    const areas = [".stage", ".panel", ".bar"];
    const current = areas.findIndex((area) => document.activeElement?.closest(area) !== null && document.activeElement?.closest(area) !== undefined);
    const order = stops.map((stop) => areas.findIndex((area) => stop.closest(area) !== null));
    const next = stops[order.findIndex((area) => area > current)] ?? stops[0];
    event.preventDefault();
    next?.focus();
  };
  onMount(() => {
    document.addEventListener("keydown", onKeyDown);
    onCleanup(() => document.removeEventListener("keydown", onKeyDown));
  });

  return (
    <div ref={page} class="meet" data-screen="meeting" data-path={props.state().path}>
      <div class="meet-body">
        <main class="stage">
          <h1 class="vh">{props.roomName}</h1>
          <Tiles meeting={props.meeting} state={props.state} />
          <Show when={isAlone()}>
            <Alone />
          </Show>
          <Notices
            meeting={props.meeting}
            state={props.state}
            isChatOpen={isChatOpen()}
            onOpenChat={() => setIsChatOpen(true)}
            soundBlocked={soundBlocked()}
            onSound={() => setSoundBlocked(false)}
          />
        </main>
        <Show when={isChatOpen()}>
          <Chat meeting={props.meeting} state={props.state} onClose={closeChat} />
        </Show>
      </div>
      <Toolbar
        meeting={props.meeting}
        state={props.state}
        roomName={props.roomName}
        isChatOpen={isChatOpen()}
        unread={unread()}
        onChat={() => (isChatOpen() ? closeChat() : setIsChatOpen(true))}
      />
      <Sound meeting={props.meeting} state={props.state} onBlocked={() => setSoundBlocked(true)} />
      <p class="vh" role="status">
        {announcement()}
      </p>
    </div>
  );
}

/** Nobody else is here: the link to send. */
function Alone(): JSX.Element {
  const link = location.origin + location.pathname;
  return (
    <section class="alone" data-alone>
      <h2>{t().alone.title}</h2>
      <p>{t().alone.text}</p>
      <div class="invite">
        <output>{link.replace(/^https?:\/\//, "")}</output>
        <CopyButton text={() => link} word={t().alone.copyLink} action="copy-link" primary />
      </div>
    </section>
  );
}

/** Copies, and says so in the button. */
export function CopyButton(props: {
  text: () => string;
  word: string;
  action: string;
  primary?: boolean;
}): JSX.Element {
  const [isCopied, setIsCopied] = createSignal(false);
  createEffect(
    on(isCopied, (copied) => {
      if (!copied) return;
      const timer = setTimeout(() => setIsCopied(false), COPIED_MS);
      onCleanup(() => clearTimeout(timer));
    }),
  );
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(props.text());
      setIsCopied(true);
    } catch {
      // Not allowed here: the text stands beside the button and can be marked.
    }
  };
  return (
    <button
      type="button"
      class="btn"
      classList={{ primary: props.primary === true, secondary: props.primary !== true }}
      data-action={props.action}
      onClick={() => void copy()}
    >
      <Icon name={isCopied() ? "check" : "copy"} />
      <span role="status">{isCopied() ? t().copied : props.word}</span>
    </button>
  );
}
