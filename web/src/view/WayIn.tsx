/** Cards on the way in: the room asks for a password or a name, or somebody has to open the door first. */

import { type Accessor, createEffect, createSignal, createUniqueId, type JSX, on, onMount, Show } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { MeetingState, Stage } from "../meeting/state";
import { brokenLine } from "./countdown";
import { t } from "./language";
import { memory } from "./memory";
import { clock } from "./observe";
import { CardPage, focusAtOnce, Icon, NoAnswer, Words } from "./parts";
import { Picture } from "./Picture";

type Asking = Extract<Stage, { kind: "asking" }>;
type Waiting = Extract<Stage, { kind: "waiting" }>;

const NAME_MAX = 100;
const PASSWORD_MAX = 200;
const MINUTE_MS = 60_000;

export function Ask(props: { meeting: Meeting; state: Accessor<MeetingState>; stage: Asking; onHome: () => void }): JSX.Element {
  const isPassword = (): boolean => props.stage.question === "password";
  return (
    <CardPage
      screen={isPassword() ? "password" : "name"}
      onHome={props.onHome}
      icon={isPassword() ? "lock" : "user-plus"}
      title={isPassword() ? t().wayIn.passwordTitle : t().wayIn.nameTitle}
    >
      <p>{isPassword() ? t().wayIn.passwordText : t().wayIn.nameText}</p>
      <Show
        when={isPassword()}
        fallback={
          <Answer
            label={t().prejoin.yourName}
            name="name"
            isBusy={props.stage.isBusy}
            onAnswer={(name) => {
              memory.setName(name);
              props.meeting.answer({ name });
            }}
          />
        }
      >
        <Answer
          label={t().wayIn.password}
          name="password"
          secret
          error={props.stage.isWrong ? t().wayIn.wrong : null}
          isBusy={props.stage.isBusy}
          onAnswer={(password) => props.meeting.answer({ password })}
        />
      </Show>
      <LineTrouble state={props.state} />
      <button type="button" class="link" data-action="cancel" onClick={() => props.meeting.leave()}>
        {t().joining.cancel}
      </button>
    </CardPage>
  );
}

/** In the lobby. The own picture stays, so that nobody wonders what the camera's light is for. */
export function Wait(props: {
  meeting: Meeting;
  state: Accessor<MeetingState>;
  stage: Waiting;
  roomName: string;
  onHome: () => void;
}): JSX.Element {
  const [hasPassword, setHasPassword] = createSignal(false);
  const now = clock(10_000);
  const minutes = (): number => Math.max(0, Math.floor((now() - props.stage.since) / MINUTE_MS));
  const self = () => props.state().self;
  return (
    <CardPage
      screen="lobby"
      onHome={props.onHome}
      icon={props.stage.isForHost ? "coffee" : "door-open"}
      title={props.stage.isForHost ? t().wayIn.hostTitle : t().wayIn.waitTitle}
    >
      <p role="status">
        <Words text={props.stage.isForHost ? t().wayIn.hostText(props.roomName) : t().wayIn.waitText(props.roomName)} />
      </p>
      <div class="wait-self">
        <OwnPicture meeting={props.meeting} state={props.state} />
        <span>
          <b>
            <bdi>{self().name === "" ? t().guest : self().name}</bdi>
          </b>
          <small>{t().wayIn.waited(minutes())}</small>
        </span>
        <button
          type="button"
          class="icon-btn"
          aria-label={self().microphone.kind === "on" ? t().toolbar.mute : t().toolbar.unmute}
          data-action="mic"
          onClick={() => props.meeting.toggleMicrophone()}
        >
          <Icon name={self().microphone.kind === "on" ? "mic" : "mic-off"} />
        </button>
        <button
          type="button"
          class="icon-btn"
          aria-label={self().camera.kind === "on" ? t().toolbar.cameraOff : t().toolbar.cameraOn}
          data-action="camera"
          onClick={() => props.meeting.toggleCamera()}
        >
          <Icon name={self().camera.kind === "on" ? "video" : "video-off"} />
        </button>
      </div>
      <Show when={hasPassword()}>
        <Answer
          label={t().wayIn.password}
          name="password"
          secret
          error={props.stage.isWrong ? t().wayIn.wrong : null}
          isBusy={props.stage.isBusy}
          onAnswer={(password) => props.meeting.answer({ password })}
        />
      </Show>
      <LineTrouble state={props.state} />
      <div class="row">
        <Show when={!hasPassword()}>
          <button type="button" class="link" data-action="have-password" onClick={() => setHasPassword(true)}>
            {t().wayIn.havePassword}
          </button>
        </Show>
        <button type="button" class="link" data-action="cancel" onClick={() => props.meeting.leave()}>
          {t().wayIn.stopWaiting}
        </button>
      </div>
    </CardPage>
  );
}

function LineTrouble(props: { state: Accessor<MeetingState> }): JSX.Element {
  return (
    <Show when={brokenLine(props.state().connection)}>
      {(line) => (
        <p class="fine">
          <NoAnswer line={line} />
        </p>
      )}
    </Show>
  );
}

/** One field and its button. What was typed stays, also when it was wrong. */
function Answer(props: {
  label: string;
  name: string;
  secret?: boolean;
  error?: string | null;
  isBusy: boolean;
  onAnswer: (text: string) => void;
}): JSX.Element {
  const id = createUniqueId();
  let field!: HTMLInputElement;
  onMount(() => focusAtOnce(field));
  createEffect(
    on(
      () => props.error,
      (error) => {
        if (error !== null && error !== undefined) focusAtOnce(field);
      },
    ),
  );
  const submit = (event: Event): void => {
    event.preventDefault();
    const text = props.secret === true ? field.value : field.value.trim();
    if (text !== "" && !props.isBusy) props.onAnswer(text);
  };
  return (
    <form class="answer" onSubmit={submit} autocomplete="off">
      <div class="field">
        <label class="label" for={id}>
          {props.label}
        </label>
        <input
          ref={field}
          id={id}
          class="input"
          name={props.name}
          type={props.secret === true ? "password" : "text"}
          maxlength={props.secret === true ? PASSWORD_MAX : NAME_MAX}
          autocomplete={props.secret === true ? "off" : "name"}
          aria-invalid={props.error !== null && props.error !== undefined}
          aria-describedby={`${id}-error`}
        />
        <div id={`${id}-error`} role="alert">
          <Show when={props.error}>
            <p class="field-error" data-problem="wrong">
              <Icon name="triangle-alert" />
              {props.error}
            </p>
          </Show>
        </div>
      </div>
      <button type="submit" class="btn primary lg wide" aria-busy={props.isBusy} data-action="answer">
        <Show when={props.isBusy} fallback={t().wayIn.continue}>
          <span class="spin" />
          {t().prejoin.joining}
        </Show>
      </button>
    </form>
  );
}

function OwnPicture(props: { meeting: Meeting; state: Accessor<MeetingState> }): JSX.Element {
  const trackKey = (): string | null => {
    const { camera } = props.state().self;
    return camera.kind === "on" ? camera.trackKey : null;
  };
  return (
    <span class="wait-picture">
      <Show when={trackKey() !== null} fallback={<Icon name="video-off" />}>
        <Picture track={() => props.meeting.track("self", "camera")} trackKey={trackKey()} mirrored onPicture={() => {}} />
      </Show>
    </span>
  );
}
