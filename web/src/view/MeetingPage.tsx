/** Inside the meeting: stage, one panel beside it, toolbar. */

import { type Accessor, createEffect, createMemo, createSignal, type JSX, Match, on, onCleanup, onMount, Show, Switch } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { MeetingState } from "../meeting/state";
import { announcement } from "./announce";
import { Chat } from "./Chat";
import { t } from "./language";
import { Notices } from "./Notices";
import type { PanelKind } from "./Panel";
import { Icon } from "./parts";
import { People } from "./People";
import { PersonMenu, type PersonMenuAt } from "./PersonMenu";
import { Protect } from "./Protect";
import { Rooms } from "./Rooms";
import { Sound } from "./Sound";
import { Tiles } from "./Tiles";
import { Toolbar } from "./Toolbar";

const COPIED_MS = 2_000;

export function MeetingPage(props: { meeting: Meeting; state: Accessor<MeetingState>; roomName: string }): JSX.Element {
  const [panel, setPanel] = createSignal<PanelKind | null>(null);
  const isChatOpen = (): boolean => panel() === "chat";
  const [personMenu, setPersonMenu] = createSignal<PersonMenuAt | null>(null);
  const [soundBlocked, setSoundBlocked] = createSignal(false);
  let page!: HTMLDivElement;

  const foreign = createMemo(() => props.state().chat.filter((message) => !message.isOwn).length);
  const [read, setRead] = createSignal(foreign());
  createEffect(() => {
    if (isChatOpen()) setRead(foreign());
  });
  const unread = (): number => Math.max(0, foreign() - read());

  const closePanel = (): void => {
    const button = isChatOpen() ? "chat" : "people";
    setPanel(null);
    page.querySelector<HTMLElement>(`.tools [data-action="${button}"]`)?.focus();
  };
  /** From a panel of its own back to the list of people. */
  const backToPeople = (): void => {
    setPanel("people");
  };
  const toggle = (kind: "chat" | "people"): void => {
    const isOpen = kind === "chat" ? isChatOpen() : panel() !== null && !isChatOpen();
    if (isOpen) closePanel();
    else setPanel(kind);
  };
  const openMenu = (participant: string, opener: HTMLElement): void => {
    setPersonMenu({ participant, opener });
  };
  // What only moderators may open closes with their right.
  createEffect(() => {
    if (panel() === "protect" && (!props.state().self.isModerator || props.state().place.room !== null)) setPanel("people");
  });

  const isInMainRoom = (): boolean => props.state().place.room === null;
  const isAlone = createMemo(
    () =>
      props.state().place.isReached &&
      isInMainRoom() &&
      !props.state().participants.some((participant) => participant.isOnGrid),
  );

  // F6 goes round: stage, panel, bar.
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "F6") return;
    const stops = [".tiles [tabindex='0']", ".panel :is(textarea, button)", ".tools [tabindex='0']"].flatMap((selector) => {
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
    <div ref={page} class="meet" data-screen="meeting" data-path={props.state().path} data-place={isInMainRoom() ? "main" : "breakout"}>
      <div class="meet-body">
        <main class="stage">
          <h1 class="vh">{props.roomName}</h1>
          <Tiles meeting={props.meeting} state={props.state} onMenu={openMenu} />
          <Show when={isAlone()}>
            <Alone />
          </Show>
          <Notices
            meeting={props.meeting}
            state={props.state}
            panel={panel()}
            onOpen={setPanel}
            soundBlocked={soundBlocked()}
            onSound={() => setSoundBlocked(false)}
          />
        </main>
        <Switch>
          <Match when={isChatOpen()}>
            <Chat meeting={props.meeting} state={props.state} onClose={closePanel} />
          </Match>
          <Match when={panel() === "people"}>
            <People meeting={props.meeting} state={props.state} onMenu={openMenu} onOpen={setPanel} onClose={closePanel} />
          </Match>
          <Match when={panel() === "protect"}>
            <Protect meeting={props.meeting} state={props.state} onClose={backToPeople} />
          </Match>
          <Match when={panel() === "rooms"}>
            <Rooms meeting={props.meeting} state={props.state} onClose={backToPeople} />
          </Match>
        </Switch>
      </div>
      <Toolbar
        meeting={props.meeting}
        state={props.state}
        roomName={props.roomName}
        panel={panel()}
        unread={unread()}
        onPanel={toggle}
      />
      <Show when={personMenu()} keyed>
        {(at) => <PersonMenu meeting={props.meeting} state={props.state} at={at} onClose={() => setPersonMenu(null)} />}
      </Show>
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
