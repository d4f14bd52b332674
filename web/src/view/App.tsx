/**
 * The whole page. Which screen is shown follows from the address and from the meeting's state, never from a click.
 *
 * Addresses: `/` start page, `/ROOM` and `/TENANT/ROOM` a room. In the query:
 * `lang=de|en` the language, `prejoin=0` enters at once with the name and devices that this browser remembers.
 *
 * For tests and for whoever scripts the page, these attributes are kept stable:
 * - `data-screen="start|prejoin|joining|password|name|lobby|meeting|left|error"` on the page's outermost element;
 *   `data-path="none|peer|bridge"` and `data-place="main|breakout"` beside it in a meeting.
 * - Each person's tile: `data-participant` (the occupant's nick; before it is known "self"), `data-self`,
 *   `data-muted`, `data-camera="on|waiting|off"` ("on": a picture is seen), `data-speaking`,
 *   `data-connection="active|weak|interrupted"`, `data-hand` (place in the queue, absent without a raised hand).
 *   A hidden tile has the attribute `hidden`. A shared screen: `data-screen-of` (the nick), `data-camera`.
 * - `data-view="tiles|pair|screen"` on the layer of tiles; `data-alone` on the card with the link.
 * - Panels: `data-panel="chat|people|protect|rooms"`. In "people" each row `data-person`, who waits outside
 *   `data-visitor`; in "rooms" each room `data-room` (its JID). A person's menu: `data-menu="person"`.
 * - Chat: each message `data-chat` (its id), `data-from`, `data-delivery="sending|sent|failed"`.
 * - Notices: `data-notice`, of which `reconnecting` has `data-seconds`.
 * - Buttons: `data-action="enter|join|join-muted|answer|mic|camera|share|chat|hand|people|send|leave|rejoin|retry|home|…"`;
 *   in a person's menu `kick|mute|camera-off|stop-share|permit|make-moderator|send-to`; at the door
 *   `admit|deny|admit-all`; on phones leaving is `leave-small`. Device lists: `data-device="microphone|speaker|camera"`.
 * - Problems: `data-problem` (the code), on the error page with `data-actor`.
 */

import { type Accessor, createEffect, createMemo, createSignal, type JSX, Match, on, onCleanup, onMount, Show, Switch } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { Problem, Stage } from "../meeting/state";
import { Failed, Joining, Left } from "./EndPages";
import { MeetingPage } from "./MeetingPage";
import { memory } from "./memory";
import { observe } from "./observe";
import { Prejoin } from "./Prejoin";
import { type Route, readRoute, tenantOf } from "./route";
import { Start } from "./Start";
import { Ask, Wait } from "./WayIn";

export interface RoomAddress {
  readonly name: string;
  readonly tenant: string | null;
}

/** Null when the server has not said where it is, so that there is nothing to join. */
export type OpenMeeting = (room: RoomAddress) => Meeting | null;

type RoomRoute = Extract<Route, { kind: "room" }>;

export function App(props: { open: OpenMeeting }): JSX.Element {
  const current = (): Route => readRoute(location.pathname, location.search);
  const [route, setRoute] = createSignal<Route>(current());
  // The configuration that was loaded with the page is that of one tenant, or of none.
  const tenant = tenantOf(location.pathname);
  const follow = (): void => {
    if (tenantOf(location.pathname) === tenant) setRoute(current());
    else location.reload();
  };
  onMount(() => addEventListener("popstate", follow));
  onCleanup(() => removeEventListener("popstate", follow));

  const goTo = (path: string): void => {
    // The language of the address stays, so that a link in one language leads on in it.
    const language = new URLSearchParams(location.search).get("lang");
    history.pushState(null, "", language === null ? path : `${path}?lang=${encodeURIComponent(language)}`);
    follow();
    scrollTo(0, 0);
  };

  const room = createMemo(() => {
    const now = route();
    return now.kind === "room" ? now : null;
  });
  createEffect(() => {
    const name = room()?.name;
    document.title = name === undefined ? "Tertulia" : `${name} · Tertulia`;
  });

  return (
    <Show when={room()} keyed fallback={<Start onEnter={goTo} />}>
      {(address: RoomRoute) => <Room address={address} open={props.open} onHome={() => goTo("/")} />}
    </Show>
  );
}

const NO_CONFIGURATION: Problem = { actor: "administrator", code: "configuration-missing", detail: "/config.js" };

function Room(props: { address: RoomRoute; open: OpenMeeting; onHome: () => void }): JSX.Element {
  const meeting = props.open({ name: props.address.name, tenant: props.address.tenant });
  return meeting === null ? (
    <Failed
      roomName={props.address.name}
      problem={NO_CONFIGURATION}
      at={Date.now()}
      onHome={props.onHome}
      onRetry={() => location.reload()}
    />
  ) : (
    <OpenRoom address={props.address} meeting={meeting} onHome={props.onHome} />
  );
}

function OpenRoom(props: { address: RoomRoute; meeting: Meeting; onHome: () => void }): JSX.Element {
  const { address, meeting } = props;
  onCleanup(() => meeting.close());
  const state = observe(meeting);
  const stage = createMemo(() => state().stage);
  /** Before joining is shown once; after that, entering again goes straight in. */
  const [asks, setAsks] = createSignal(address.prejoin);

  const enter = (): void => meeting.join(memory.name(), memory.devices());
  onMount(() => {
    if (!address.prejoin) {
      meeting.prepare({ microphone: true, camera: true });
      enter();
    }
  });

  const [since, setSince] = createSignal(0);
  createEffect(
    on(stage, (now) => {
      if (now.kind !== "inside") return;
      setAsks(false);
      setSince(now.since);
      memory.addVisit({ path: location.pathname, name: address.name, at: Date.now() });
    }),
  );
  const ended = createMemo(() => {
    const now = stage();
    return now.kind === "left" || now.kind === "failed" ? { stage: now, at: Date.now() } : null;
  });
  const minutes = (at: number): number | null =>
    since() === 0 ? null : Math.max(1, Math.round((at - since()) / 60_000));

  const isAt = <Kind extends Stage["kind"]>(kind: Kind): Extract<Stage, { kind: Kind }> | null => {
    const now = stage();
    return now.kind === kind ? (now as Extract<Stage, { kind: Kind }>) : null;
  };
  const isBefore: Accessor<boolean> = () => asks() && (stage().kind === "outside" || stage().kind === "joining");

  return (
    <Switch
      fallback={
        <Joining
          roomName={address.name}
          connection={state().connection}
          onHome={props.onHome}
          onCancel={() => meeting.leave()}
        />
      }
    >
      <Match when={stage().kind === "inside"}>
        <MeetingPage meeting={meeting} state={state} roomName={address.name} />
      </Match>
      <Match when={isBefore()}>
        <Prejoin meeting={meeting} state={state} roomName={address.name} onHome={props.onHome} />
      </Match>
      <Match when={isAt("asking")}>
        {(asking) => <Ask meeting={meeting} state={state} stage={asking()} onHome={props.onHome} />}
      </Match>
      <Match when={isAt("waiting")}>
        {(waiting) => (
          <Wait meeting={meeting} state={state} stage={waiting()} roomName={address.name} onHome={props.onHome} />
        )}
      </Match>
      <Match when={ended()}>
        {(end) => (
          <Switch>
            <Match when={end().stage.kind === "left" && (end().stage as Extract<ReturnType<typeof stage>, { kind: "left" }>)}>
              {(left) => (
                <Left
                  roomName={address.name}
                  reason={left().reason}
                  minutes={minutes(end().at)}
                  onHome={props.onHome}
                  onRejoin={enter}
                />
              )}
            </Match>
            <Match when={end().stage.kind === "failed" && (end().stage as Extract<ReturnType<typeof stage>, { kind: "failed" }>)}>
              {(failed) => (
                <Failed
                  roomName={address.name}
                  problem={failed().problem}
                  at={end().at}
                  onHome={props.onHome}
                  onRetry={enter}
                />
              )}
            </Match>
          </Switch>
        )}
      </Match>
    </Switch>
  );
}
