/** The panel of people: who waits outside, who raises a hand, who is here. */

import { type Accessor, createMemo, For, type JSX, Show } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { MeetingState } from "../meeting/state";
import { handQueue } from "./hands";
import { t } from "./language";
import { byKey } from "./observe";
import { Panel, type PanelKind } from "./Panel";
import { Avatar, Icon } from "./parts";
import { faceOf, ownFace } from "./Tile";

interface Row {
  /** A participant's id, or "self". */
  readonly id: string;
  readonly name: string;
  readonly isModerator: boolean;
  readonly muted: boolean;
  readonly camera: boolean;
  readonly hand: number | null;
}

export function People(props: {
  meeting: Meeting;
  state: Accessor<MeetingState>;
  onMenu: (participant: string, opener: HTMLElement) => void;
  onOpen: (panel: PanelKind) => void;
  onClose: () => void;
}): JSX.Element {
  const rows = createMemo((): readonly Row[] => {
    const { participants, self } = props.state();
    const queue = handQueue(props.state());
    const own = ownFace(self);
    return [
      { ...own, id: "self", isModerator: self.isModerator, hand: queue.get("self") ?? null },
      ...participants.map((participant) => ({
        ...faceOf(participant),
        id: participant.id,
        isModerator: participant.isModerator,
        hand: queue.get(participant.id) ?? null,
      })),
    ];
  });
  const raised = byKey(
    () =>
      rows()
        .filter((row) => row.hand !== null)
        .sort((a, b) => (a.hand ?? 0) - (b.hand ?? 0)),
    (row) => row.id,
  );
  const others = byKey(
    () => rows().filter((row) => row.hand === null),
    (row) => row.id,
  );
  const isModerator = (): boolean => props.state().self.isModerator;
  const isInMainRoom = (): boolean => props.state().place.room === null;
  const hasRooms = (): boolean => (isModerator() ? props.state().services.hasRooms : props.state().rooms.length > 1);

  const list = (of: ReturnType<typeof byKey<Row>>): JSX.Element => (
    <ul>
      <For each={of.keys()}>
        {(id) => (
          <Show when={of.item(id)()}>
            {(row) => <Person row={row()} hasMenu={isModerator() && id !== "self"} onMenu={props.onMenu} />}
          </Show>
        )}
      </For>
    </ul>
  );

  return (
    <Panel
      kind="people"
      title={t().people.title}
      count={rows().length}
      onClose={props.onClose}
      foot={
        (isModerator() && isInMainRoom()) || hasRooms() ? (
          <>
            <Show when={isModerator() && isInMainRoom()}>
              <button type="button" class="btn secondary sm" data-action="protect" onClick={() => props.onOpen("protect")}>
                <Icon name="shield-check" />
                {t().people.protect}
              </button>
            </Show>
            <Show when={hasRooms()}>
              <button type="button" class="btn secondary sm" data-action="rooms" onClick={() => props.onOpen("rooms")}>
                <Icon name="split" />
                {t().people.rooms}
              </button>
            </Show>
          </>
        ) : undefined
      }
    >
      <Show when={isModerator() && props.state().door.waiting.length > 0}>
        <AtDoor meeting={props.meeting} state={props.state} />
      </Show>
      <Show when={raised.keys().length > 0}>
        <section>
          <h3>
            {t().people.hands} <span class="count">{raised.keys().length}</span>
          </h3>
          {list(raised)}
        </section>
      </Show>
      <section>
        <h3>
          {t().people.inRoom} <span class="count">{others.keys().length}</span>
        </h3>
        {list(others)}
      </section>
    </Panel>
  );
}

function AtDoor(props: { meeting: Meeting; state: Accessor<MeetingState> }): JSX.Element {
  const waiting = byKey(
    () => props.state().door.waiting,
    (visitor) => visitor.id,
  );
  return (
    <section class="door">
      <h3>
        {t().people.atDoor} <span class="count">{waiting.keys().length}</span>
        <Show when={waiting.keys().length > 1}>
          <button
            type="button"
            class="link"
            data-action="admit-all"
            onClick={() => props.meeting.order({ kind: "admit", ids: waiting.keys() })}
          >
            {t().people.admitAll}
          </button>
        </Show>
      </h3>
      <ul>
        <For each={waiting.keys()}>
          {(id) => {
            const visitor = waiting.item(id);
            const name = (): string => visitor()?.name || t().guest;
            return (
              <li class="person" data-visitor={id}>
                <Avatar name={name()} />
                <span class="person-name">
                  <b>
                    <bdi>{name()}</bdi>
                  </b>
                </span>
                <button
                  type="button"
                  class="icon-btn no"
                  aria-label={t().people.denyName(name())}
                  title={t().people.deny}
                  data-action="deny"
                  onClick={() => props.meeting.order({ kind: "deny", id })}
                >
                  <Icon name="x" />
                </button>
                <button
                  type="button"
                  class="icon-btn primary"
                  aria-label={t().people.admitName(name())}
                  title={t().people.admit}
                  data-action="admit"
                  onClick={() => props.meeting.order({ kind: "admit", ids: [id] })}
                >
                  <Icon name="check" />
                </button>
              </li>
            );
          }}
        </For>
      </ul>
    </section>
  );
}

function Person(props: { row: Row; hasMenu: boolean; onMenu: (participant: string, opener: HTMLElement) => void }): JSX.Element {
  const small = (): string =>
    [props.row.id === "self" ? t().you : "", props.row.isModerator ? t().people.moderator : ""]
      .filter((part) => part !== "")
      .join(" · ");
  const state = (): string =>
    t().tile.label({ ...props.row, name: props.row.name, interrupted: false, weak: false });
  return (
    <li class="person" data-person={props.row.id} data-moderator={props.row.isModerator}>
      <Avatar name={props.row.name} />
      <span class="person-name" title={props.row.name}>
        <b aria-hidden="true">
          <bdi>{props.row.name}</bdi>
        </b>
        <span class="vh">{state()}</span>
        <Show when={small() !== ""}>
          <small>{small()}</small>
        </Show>
      </span>
      <span class="person-state" aria-hidden="true">
        <Show when={props.row.hand !== null}>
          <span class="hand-count">
            <Icon name="hand" />
            {props.row.hand}
          </span>
        </Show>
        <Icon name={props.row.camera ? "video" : "video-off"} />
        <Icon name={props.row.muted ? "mic-off" : "mic"} />
      </span>
      <Show when={props.hasMenu}>
        <button
          type="button"
          class="icon-btn"
          aria-label={t().people.actions(props.row.name)}
          aria-haspopup="menu"
          data-action="person-menu"
          // A click in Safari gives no focus, and losing it would close what the click opens.
          onMouseDown={(event) => event.preventDefault()}
          onClick={(event) => props.onMenu(props.row.id, event.currentTarget)}
        >
          <Icon name="ellipsis" />
        </button>
      </Show>
    </li>
  );
}
