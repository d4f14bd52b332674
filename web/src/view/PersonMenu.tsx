/** What a moderator can do with one person, from a tile or from the list. */

import { type Accessor, createSignal, createUniqueId, For, type JSX, onMount, Show } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { MeetingState, Order, Participant, SourceKind } from "../meeting/state";
import type { IconName } from "./icons";
import { t } from "./language";
import { Menu } from "./Menu";
import { byKey } from "./observe";
import { Icon } from "./parts";

export interface PersonMenuAt {
  readonly participant: string;
  /** The button or tile that opened it; it gets the focus back. */
  readonly opener: HTMLElement;
}

interface Item {
  readonly action: string;
  readonly icon: IconName;
  readonly word: string;
  readonly order: Order;
}

const SOURCES: readonly SourceKind[] = ["microphone", "camera", "screen"];

/** Only what would change something. */
function itemsFor(person: Participant, state: MeetingState): Item[] {
  const { id } = person;
  const isOn = (kind: SourceKind): boolean => person.sources.some((source) => source.kind === kind && !source.isMuted);
  const mutes: readonly (readonly [SourceKind, string, IconName, string])[] = [
    ["microphone", "mute", "mic-off", t().people.mute],
    ["camera", "camera-off", "video-off", t().people.cameraOff],
    ["screen", "stop-share", "screen-share", t().people.stopShare],
  ];
  const items: Item[] = mutes
    .filter(([source]) => isOn(source))
    .map(([source, action, icon, word]) => ({ action, icon, word, order: { kind: "mute", id, source } }));
  for (const source of SOURCES) {
    const { isNeeded, holders } = state.permissions[source];
    if (!isNeeded || holders.includes(id) || person.isModerator) continue;
    items.push({ action: "permit", icon: "check", word: t().people.permit(source), order: { kind: "permit", id, source } });
  }
  if (!person.isModerator) {
    items.push({
      action: "make-moderator",
      icon: "shield-check",
      word: t().people.makeModerator,
      order: { kind: "make-moderator", id },
    });
  }
  const member = state.rooms.flatMap((room) => room.people).find((one) => one.id === id);
  if (member !== undefined) {
    for (const room of state.rooms) {
      if (room.people.includes(member)) continue;
      const word = t().people.sendTo(room.isMain ? t().rooms.main : room.name);
      items.push({ action: "send-to", icon: "split", word, order: { kind: "send", person: member.jid, room: room.jid } });
    }
  }
  return items;
}

export function PersonMenu(props: {
  meeting: Meeting;
  state: Accessor<MeetingState>;
  at: PersonMenuAt;
  onClose: () => void;
}): JSX.Element {
  const [isAsking, setIsAsking] = createSignal(false);
  const person = (): Participant | undefined =>
    props.state().participants.find((participant) => participant.id === props.at.participant);
  const name = (): string => person()?.name || t().guest;

  const close = (): void => {
    props.onClose();
    props.at.opener.focus();
  };
  const give = (order: Order): void => {
    props.meeting.order(order);
    close();
  };
  const onFocusOut = (event: FocusEvent): void => {
    const inside = event.currentTarget as HTMLElement;
    if (!isAsking() && (!(event.relatedTarget instanceof Node) || !inside.contains(event.relatedTarget))) props.onClose();
  };

  return (
    <Show when={person()}>
      {(shown) => (
        <div onFocusOut={onFocusOut}>
          <Show
            when={!isAsking()}
            fallback={
              <Confirm
                title={t().people.removeTitle(name())}
                text={t().people.removeText}
                confirm={t().people.removeConfirm}
                onConfirm={() => {
                  props.meeting.order({ kind: "kick", id: props.at.participant });
                  close();
                }}
                onCancel={close}
              />
            }
          >
            <Menu label={t().people.actions(name())} kind="person" at={props.at.opener.getBoundingClientRect()} onClose={close}>
              <p class="menu-label" aria-hidden="true">
                <bdi>{name()}</bdi>
              </p>
              <Items items={() => itemsFor(shown(), props.state())} onOrder={give} />
              <button
                type="button"
                class="menu-item act red"
                role="menuitem"
                tabindex="-1"
                data-action="kick"
                onClick={() => setIsAsking(true)}
              >
                <Icon name="user-minus" />
                {t().people.remove}
              </button>
            </Menu>
          </Show>
        </div>
      )}
    </Show>
  );
}

/** Entries stay in the page while what they say stays, so that the focus does. */
function Items(props: { items: Accessor<readonly Item[]>; onOrder: (order: Order) => void }): JSX.Element {
  const items = byKey(props.items, (item) => `${item.action} ${item.word}`);
  return (
    <For each={items.keys()}>
      {(key) => (
        <Show when={items.item(key)()}>
          {(item) => (
            <button
              type="button"
              class="menu-item act"
              role="menuitem"
              tabindex="-1"
              data-action={item().action}
              onClick={() => props.onOrder(item().order)}
            >
              <Icon name={item().icon} />
              {item().word}
            </button>
          )}
        </Show>
      )}
    </For>
  );
}

/** A question that must be answered first. */
function Confirm(props: {
  title: string;
  text: string;
  confirm: string;
  onConfirm: () => void;
  onCancel: () => void;
}): JSX.Element {
  const id = createUniqueId();
  let dialog!: HTMLDialogElement;
  onMount(() => dialog.showModal());
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        props.onCancel();
      }}
    >
      <h2 id={id}>{props.title}</h2>
      <p>{props.text}</p>
      <div class="row">
        <button type="button" class="btn secondary" data-action="cancel-kick" onClick={() => props.onCancel()}>
          {t().people.cancel}
        </button>
        <button type="button" class="btn danger" data-action="confirm-kick" onClick={() => props.onConfirm()}>
          {props.confirm}
        </button>
      </div>
    </dialog>
  );
}
