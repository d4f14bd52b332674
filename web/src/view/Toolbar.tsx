/** The one bar at the bottom: microphone, camera, share, chat, hand, people | leave. */

import { type Accessor, createSignal, type JSX, onMount, Show } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { MeetingState } from "../meeting/state";
import { DeviceMenu } from "./DeviceMenu";
import { clockTime } from "./format";
import type { IconName } from "./icons";
import { language, t } from "./language";
import { clock } from "./observe";
import type { PanelKind } from "./Panel";
import { Icon } from "./parts";

interface ToolProps {
  readonly action: string;
  readonly icon: IconName;
  readonly word: string;
  /** The name for ears; it says what a press does, and changes where the word does not. */
  readonly name: string;
  readonly onPress: () => void;
  readonly pressed?: boolean;
  /** Yellow instead of green: the hand. */
  readonly raised?: boolean;
  readonly off?: boolean;
  readonly leave?: boolean;
  readonly busy?: boolean;
  readonly badge?: number;
  readonly menu?: { readonly name: string; readonly content: (close: () => void) => JSX.Element };
}

function Tool(props: ToolProps): JSX.Element {
  const [isOpen, setIsOpen] = createSignal(false);
  let drop: HTMLButtonElement | undefined;
  const close = (): void => {
    setIsOpen(false);
    drop?.focus();
  };
  const onFocusOut = (event: FocusEvent): void => {
    const inside = event.currentTarget as HTMLElement;
    if (!(event.relatedTarget instanceof Node) || !inside.contains(event.relatedTarget)) setIsOpen(false);
  };
  return (
    <div
      class="tool"
      classList={{ "has-menu": props.menu !== undefined, off: props.off === true, leave: props.leave === true, raised: props.raised === true }}
      onFocusOut={onFocusOut}
    >
      <div class="tool-box">
        <button
          type="button"
          class="tool-btn"
          aria-label={props.name}
          aria-pressed={props.pressed}
          aria-busy={props.busy}
          data-action={props.action}
          onClick={() => props.onPress()}
        >
          <Icon name={props.icon} />
          <Show when={(props.badge ?? 0) > 0}>
            <span class="badge" aria-hidden="true" data-badge={props.badge}>
              {(props.badge ?? 0) > 99 ? "99+" : props.badge}
            </span>
          </Show>
        </button>
        <Show when={props.menu}>
          {(menu) => (
            <button
              ref={(element) => {
                drop = element;
              }}
              type="button"
              class="tool-drop"
              aria-label={menu().name}
              aria-haspopup="menu"
              aria-expanded={isOpen()}
              data-action={`${props.action}-menu`}
              // A click in Safari gives no focus, and losing it would close what the click has just opened.
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => setIsOpen(!isOpen())}
            >
              <Icon name="chevron-up" />
            </button>
          )}
        </Show>
      </div>
      <span class="tool-word" aria-hidden="true">
        {props.word}
      </span>
      <Show when={isOpen() && props.menu}>{(menu) => menu().content(close)}</Show>
    </div>
  );
}

export function Toolbar(props: {
  meeting: Meeting;
  state: Accessor<MeetingState>;
  roomName: string;
  panel: PanelKind | null;
  unread: number;
  onPanel: (panel: "chat" | "people") => void;
}): JSX.Element {
  let bar!: HTMLDivElement;
  const now = clock(5_000);
  const self = () => props.state().self;
  const atDoor = (): number => props.state().door.waiting.length;
  const isSharing = (): boolean => self().screen.kind === "on";

  // One tab stop; the arrow keys move inside.
  const buttons = (): HTMLElement[] =>
    [...bar.querySelectorAll<HTMLElement>(".tool-box button")].filter((button) => button.offsetParent !== null);
  const stopAt = (chosen: HTMLElement | undefined): void => {
    for (const button of bar.querySelectorAll<HTMLElement>(".tool-box button"))
      button.tabIndex = button === chosen ? 0 : -1;
  };
  onMount(() => stopAt(buttons()[0]));

  const onKeyDown = (event: KeyboardEvent): void => {
    if (!(event.target instanceof HTMLElement) || event.target.closest(".tool-box") === null) return;
    const all = buttons();
    const at = all.indexOf(event.target);
    const to = {
      ArrowRight: all[at + 1] ?? all[0],
      ArrowDown: all[at + 1] ?? all[0],
      ArrowLeft: all[at - 1] ?? all.at(-1),
      ArrowUp: all[at - 1] ?? all.at(-1),
      Home: all[0],
      End: all.at(-1),
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    to.focus();
  };
  const onFocusIn = (event: FocusEvent): void => {
    if (event.target instanceof HTMLElement && event.target.closest(".tool-box") !== null) stopAt(event.target);
  };

  const share = (): void => {
    if (isSharing()) props.meeting.stopScreenShare();
    else props.meeting.startScreenShare();
  };

  return (
    <footer class="bar">
      <div class="room">
        <b>
          <bdi>{props.roomName}</bdi>
        </b>
        <small>{clockTime(language(), now())}</small>
      </div>
      <div
        ref={bar}
        class="tools"
        role="toolbar"
        aria-label={t().toolbar.name}
        onKeyDown={onKeyDown}
        onFocusIn={onFocusIn}
      >
        <Tool
          action="mic"
          icon={self().microphone.kind === "on" ? "mic" : "mic-off"}
          word={t().toolbar.microphone}
          name={self().microphone.kind === "on" ? t().toolbar.mute : t().toolbar.unmute}
          off={self().microphone.kind !== "on"}
          busy={self().microphone.kind === "starting"}
          onPress={() => props.meeting.toggleMicrophone()}
          menu={{
            name: t().toolbar.chooseMicrophone,
            content: (close) => (
              <DeviceMenu
                kinds={["microphone", "speaker"]}
                devices={props.state().devices}
                onChoose={(choice) => props.meeting.selectDevices(choice)}
                onClose={close}
              />
            ),
          }}
        />
        <Tool
          action="camera"
          icon={self().camera.kind === "on" ? "video" : "video-off"}
          word={t().toolbar.camera}
          name={self().camera.kind === "on" ? t().toolbar.cameraOff : t().toolbar.cameraOn}
          off={self().camera.kind !== "on"}
          busy={self().camera.kind === "starting"}
          onPress={() => props.meeting.toggleCamera()}
          menu={{
            name: t().toolbar.chooseCamera,
            content: (close) => (
              <DeviceMenu
                kinds={["camera"]}
                devices={props.state().devices}
                onChoose={(choice) => props.meeting.selectDevices(choice)}
                onClose={close}
              />
            ),
          }}
        />
        <Show when={props.state().devices.canShareScreen}>
          <Tool
            action="share"
            icon="screen-share"
            word={t().toolbar.share}
            name={isSharing() ? t().toolbar.shareStop : t().toolbar.shareStart}
            pressed={isSharing()}
            busy={self().screen.kind === "starting"}
            onPress={share}
          />
        </Show>
        <Tool
          action="chat"
          icon="message-square-text"
          word={t().toolbar.chat}
          name={props.unread > 0 ? `${t().toolbar.chat}, ${t().toolbar.unread(props.unread)}` : t().toolbar.chat}
          pressed={props.panel === "chat"}
          badge={props.unread}
          onPress={() => props.onPanel("chat")}
        />
        <Tool
          action="hand"
          icon="hand"
          word={t().toolbar.hand}
          name={t().toolbar.raiseHand}
          pressed={self().handAt !== null}
          raised={self().handAt !== null}
          onPress={() => props.meeting.raiseHand(self().handAt === null)}
        />
        <Tool
          action="people"
          icon="users"
          word={t().toolbar.people}
          name={atDoor() > 0 ? `${t().toolbar.people}, ${t().toolbar.atDoor(atDoor())}` : t().toolbar.people}
          pressed={props.panel !== null && props.panel !== "chat"}
          badge={atDoor()}
          onPress={() => props.onPanel("people")}
        />
        <Tool
          action="leave-small"
          icon="phone"
          word={t().toolbar.leave}
          name={t().toolbar.leave}
          leave
          onPress={() => props.meeting.leave()}
        />
      </div>
      <button
        type="button"
        class="btn danger leave-wide"
        data-action="leave"
        onClick={() => props.meeting.leave()}
      >
        <Icon name="phone" />
        {t().toolbar.leave}
      </button>
    </footer>
  );
}
