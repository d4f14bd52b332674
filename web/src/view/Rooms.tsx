/** The panel of breakout rooms: everybody may go where they like, moderators make rooms and send people. */

import { type Accessor, createSignal, For, type JSX, Show } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { MeetingRoom, MeetingState, RoomMember } from "../meeting/state";
import { t } from "./language";
import { Menu } from "./Menu";
import { byKey } from "./observe";
import { Panel } from "./Panel";
import { Avatar, Icon } from "./parts";

const NAME_MAX = 100;

interface MoveMenu {
  readonly person: RoomMember;
  readonly opener: HTMLElement;
}

export function Rooms(props: { meeting: Meeting; state: Accessor<MeetingState>; onClose: () => void }): JSX.Element {
  let field!: HTMLInputElement;
  const [moving, setMoving] = createSignal<MoveMenu | null>(null);
  const isModerator = (): boolean => props.state().self.isModerator;
  const rooms = (): readonly MeetingRoom[] => props.state().rooms;
  const groups = (): readonly MeetingRoom[] => rooms().filter((room) => !room.isMain);
  const isHere = (room: MeetingRoom): boolean =>
    room.isMain ? props.state().place.room === null : props.state().place.room === room.jid;
  const nameOf = (room: MeetingRoom): string => (room.isMain ? t().rooms.main : room.name);

  const listed = byKey(rooms, (room) => room.jid);
  /** Where somebody can be sent: everywhere but where they are. */
  const targets = byKey(
    () => rooms().filter((room) => !room.people.some((one) => one.jid === moving()?.person.jid)),
    (room) => room.jid,
  );

  const add = (event: Event): void => {
    event.preventDefault();
    const name = field.value.trim() || t().rooms.defaultName(groups().length + 1);
    props.meeting.order({ kind: "add-room", name });
    field.value = "";
  };
  const closeMenu = (): void => {
    moving()?.opener.focus();
    setMoving(null);
  };

  return (
    <Panel
      kind="rooms"
      title={t().rooms.title}
      onClose={props.onClose}
      foot={
        isModerator() && groups().some((room) => room.people.length > 0) ? (
          <button type="button" class="btn primary sm" data-action="recall" onClick={() => props.meeting.recall()}>
            {t().rooms.recall}
          </button>
        ) : undefined
      }
    >
      <Show when={groups().length === 0}>
        <p class="fine">{t().rooms.none}</p>
      </Show>
      <ul class="rooms">
        <For each={groups().length === 0 ? [] : listed.keys()}>
          {(jid) => (
            <Show when={listed.item(jid)()}>
              {(room) => (
                <Room
                  room={room}
                  name={nameOf(room())}
                  isHere={isHere(room())}
                  isModerator={isModerator()}
                  onEnter={() => props.meeting.goTo(room().isMain ? null : jid)}
                  onRemove={() => props.meeting.order({ kind: "remove-room", room: jid })}
                  onMove={(person, opener) => setMoving({ person, opener })}
                />
              )}
            </Show>
          )}
        </For>
      </ul>
      <Show when={isModerator()}>
        <form class="one-line" onSubmit={add} autocomplete="off">
          <input
            ref={field}
            class="input"
            name="new-room"
            maxlength={NAME_MAX}
            autocomplete="off"
            placeholder={t().rooms.defaultName(groups().length + 1)}
            aria-label={t().rooms.newName}
          />
          <button type="submit" class="btn secondary" data-action="add-room">
            <Icon name="plus" />
            {t().rooms.add}
          </button>
        </form>
      </Show>
      <Show when={moving()} keyed>
        {(menu) => (
          <div
            onFocusOut={(event) => {
              if (!(event.relatedTarget instanceof Node) || !event.currentTarget.contains(event.relatedTarget)) setMoving(null);
            }}
          >
            <Menu
              label={t().rooms.move(menu.person.name || t().guest)}
              kind="move"
              at={menu.opener.getBoundingClientRect()}
              onClose={closeMenu}
            >
              <For each={targets.keys()}>
                {(jid) => (
                  <button
                    type="button"
                    class="menu-item act"
                    role="menuitem"
                    tabindex="-1"
                    data-action="send-to"
                    onClick={() => {
                      props.meeting.order({ kind: "send", person: menu.person.jid, room: jid });
                      closeMenu();
                    }}
                  >
                    <Icon name="split" />
                    <Show when={targets.item(jid)()}>{(room) => t().people.sendTo(nameOf(room()))}</Show>
                  </button>
                )}
              </For>
            </Menu>
          </div>
        )}
      </Show>
    </Panel>
  );
}

function Room(props: {
  room: Accessor<MeetingRoom>;
  name: string;
  isHere: boolean;
  isModerator: boolean;
  onEnter: () => void;
  onRemove: () => void;
  onMove: (person: RoomMember, opener: HTMLElement) => void;
}): JSX.Element {
  const people = byKey(
    () => props.room().people,
    (person) => person.jid,
  );
  return (
    <li class="group" data-room={props.room().jid} data-here={props.isHere}>
      <div class="group-head">
        <b title={props.name}>
          <bdi>{props.name}</bdi>
        </b>
        <span class="count">{people.keys().length}</span>
        <Show when={!props.isHere} fallback={<small>{t().rooms.here}</small>}>
          <button
            type="button"
            class="btn xs secondary"
            aria-label={t().rooms.enterName(props.name)}
            data-action="enter-room"
            onClick={() => props.onEnter()}
          >
            {t().rooms.enter}
          </button>
        </Show>
        <Show when={props.isModerator && !props.room().isMain}>
          <button
            type="button"
            class="icon-btn"
            aria-label={t().rooms.close(props.name)}
            title={t().rooms.close(props.name)}
            data-action="remove-room"
            onClick={() => props.onRemove()}
          >
            <Icon name="x" />
          </button>
        </Show>
      </div>
      <ul class="members">
        <For each={people.keys()} fallback={<li class="fine">{t().rooms.nobody}</li>}>
          {(jid) => (
            <Show when={people.item(jid)()}>
              {(person) => {
                const name = (): string => person().name || t().guest;
                return (
                  <li>
                    <Show when={props.isModerator} fallback={<Member name={name()} />}>
                      <button
                        type="button"
                        class="member"
                        aria-haspopup="menu"
                        aria-label={t().rooms.move(name())}
                        data-member={person().id}
                        // A click in Safari gives no focus, and losing it would close what the click opens.
                        onMouseDown={(event) => event.preventDefault()}
                        onClick={(event) => props.onMove(person(), event.currentTarget)}
                      >
                        <Member name={name()} />
                      </button>
                    </Show>
                  </li>
                );
              }}
            </Show>
          )}
        </For>
      </ul>
    </li>
  );
}

function Member(props: { name: string }): JSX.Element {
  return (
    <>
      <Avatar name={props.name} />
      <bdi>{props.name}</bdi>
    </>
  );
}
