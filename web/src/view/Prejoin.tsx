/** Before joining: name, picture, microphone. Nothing here keeps anybody from joining. */

import { type Accessor, createMemo, createSignal, createUniqueId, For, type JSX, Match, onCleanup, onMount, Show, Switch } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { Capture, MeetingState } from "../meeting/state";
import { brokenLine } from "./countdown";
import { DeviceLists } from "./DeviceMenu";
import { type DeviceProblem, deviceProblem, explain, stepsFor } from "./device_problem";
import type { IconName } from "./icons";
import { t } from "./language";
import { litBars } from "./levels";
import { memory } from "./memory";
import { lasting } from "./observe";
import { Avatar, focusAtOnce, Icon, NoAnswer, Page, Words } from "./parts";
import { Picture } from "./Picture";

const METER_BARS = 8;
const METER_EVERY_MS = 100;
/** A microphone that gives nothing at all for so long is probably the wrong one. */
const SILENT_AFTER_MS = 5_000;

const isOn = (capture: Capture): boolean => capture.kind === "on" || capture.kind === "starting";

export function Prejoin(props: {
  meeting: Meeting;
  state: Accessor<MeetingState>;
  roomName: string;
  onHome: () => void;
}): JSX.Element {
  const nameId = createUniqueId();
  const [name, setName] = createSignal(memory.name());
  const [level, setLevel] = createSignal(0);
  const self = () => props.state().self;
  const isJoining = (): boolean => props.state().stage.kind === "joining";
  const problem = createMemo(() => deviceProblem(self()));
  let field!: HTMLInputElement;

  onMount(() => {
    props.meeting.selectDevices(memory.devices());
    props.meeting.prepare({ microphone: true, camera: true });
    if (name() === "") focusAtOnce(field);
  });

  const timer = setInterval(() => {
    setLevel(self().microphone.kind === "on" ? props.meeting.audioLevel("self") : 0);
  }, METER_EVERY_MS);
  onCleanup(() => clearInterval(timer));
  const isSilent = lasting(() => self().microphone.kind === "on" && level() === 0, SILENT_AFTER_MS);

  const join = (withMicrophone: boolean): void => {
    if (isJoining()) return;
    if (!withMicrophone && isOn(self().microphone)) props.meeting.toggleMicrophone();
    memory.setName(name().trim());
    props.meeting.join(name().trim());
  };

  const askAgain = (what: DeviceProblem): void => {
    props.meeting.prepare({ microphone: what.kind !== "camera", camera: what.kind !== "microphone" });
  };

  const toggles = (): JSX.Element => (
    <div class="preview-controls">
      <button
        type="button"
        class="preview-btn"
        classList={{ off: !isOn(self().microphone) }}
        aria-label={isOn(self().microphone) ? t().toolbar.mute : t().toolbar.unmute}
        data-action="mic"
        onClick={() => props.meeting.toggleMicrophone()}
      >
        <Icon name={isOn(self().microphone) ? "mic" : "mic-off"} />
        <Show when={self().microphone.kind === "on"}>
          <Meter level={level()} />
        </Show>
      </button>
      <button
        type="button"
        class="preview-btn"
        classList={{ off: !isOn(self().camera) }}
        aria-label={isOn(self().camera) ? t().toolbar.cameraOff : t().toolbar.cameraOn}
        data-action="camera"
        onClick={() => props.meeting.toggleCamera()}
      >
        <Icon name={isOn(self().camera) ? "video" : "video-off"} />
      </button>
    </div>
  );

  return (
    <Page screen="prejoin" onHome={props.onHome}>
      <main class="pre-main">
        <div class="pre-left">
          <Show
            when={problem()?.problem.code === "permission-denied" && problem()}
            fallback={
              <Preview meeting={props.meeting} state={props.state} name={name()} problem={problem()} onAsk={askAgain}>
                {toggles()}
              </Preview>
            }
          >
            {(denied) => <Denied problem={denied()} onAsk={() => askAgain(denied())} />}
          </Show>
          <DeviceLists devices={props.state().devices} onChoose={(choice) => props.meeting.selectDevices(choice)} />
          <Note state={props.state} isSilent={isSilent()} problem={problem()} />
        </div>
        <div class="pre-right">
          <h1>
            <bdi>{props.roomName}</bdi>
          </h1>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              join(true);
            }}
          >
            <div class="field">
              <label class="label" for={nameId}>
                {t().prejoin.yourName}
              </label>
              <input
                ref={field}
                id={nameId}
                class="input"
                name="name"
                value={name()}
                maxlength="100"
                autocomplete="name"
                placeholder={t().guest}
                onInput={(event) => setName(event.currentTarget.value)}
              />
            </div>
            <button type="submit" class="btn primary lg wide" aria-busy={isJoining()} data-action="join">
              <Show when={isJoining()} fallback={t().prejoin.join}>
                <span class="spin" />
                {t().prejoin.joining}
              </Show>
            </button>
            <button
              type="button"
              class="btn raised wide"
              data-action="join-muted"
              onClick={() => join(false)}
            >
              <Icon name="mic-off" />
              {t().prejoin.withoutMicrophone}
            </button>
            <p class="fine">
              <Show when={isJoining() && brokenLine(props.state().connection)} fallback={t().prejoin.nameKept}>
                {(line) => <NoAnswer line={line} />}
              </Show>
            </p>
          </form>
        </div>
      </main>
    </Page>
  );
}

function Meter(props: { level: number }): JSX.Element {
  const lit = createMemo(() => litBars(props.level, METER_BARS));
  return (
    <span class="meter" aria-hidden="true" data-lit={lit()}>
      <For each={[...Array(METER_BARS).keys()]}>{(i) => <span classList={{ on: i < lit() }} />}</For>
    </span>
  );
}

/** The own picture, or in its place why there is none. */
function Preview(props: {
  meeting: Meeting;
  state: Accessor<MeetingState>;
  name: string;
  problem: DeviceProblem | null;
  onAsk: (problem: DeviceProblem) => void;
  children: JSX.Element;
}): JSX.Element {
  const [hasPicture, setHasPicture] = createSignal(false);
  const camera = () => props.state().self.camera;
  const trackKey = createMemo(() => {
    const capture = camera();
    return capture.kind === "on" ? capture.trackKey : null;
  });
  return (
    <div class="preview" data-preview={hasPicture() ? "on" : "off"}>
      <Show when={trackKey() !== null}>
        <Picture
          track={() => props.meeting.track("self", "camera")}
          trackKey={trackKey()}
          mirrored
          onPicture={setHasPicture}
        />
      </Show>
      <Switch>
        <Match when={hasPicture()}>
          <span class="preview-tip">{t().prejoin.asOthersSee}</span>
        </Match>
        <Match when={camera().kind === "starting" || camera().kind === "on"}>
          <div class="preview-off">
            <p role="status">{t().prejoin.cameraStarting}</p>
          </div>
        </Match>
        <Match when={camera().kind === "failed" && props.problem}>
          {(problem) => (
            <div class="preview-off" role="alert">
              <h2>{explain(problem()).title}</h2>
              <p>{explain(problem()).text}</p>
              <button type="button" class="btn xs" data-action="ask-again" onClick={() => props.onAsk(problem())}>
                {t().devices.askAgain}
              </button>
            </div>
          )}
        </Match>
        <Match when={true}>
          <div class="preview-off">
            <Avatar name={props.name.trim() === "" ? t().guest : props.name} large />
            <p>{t().prejoin.cameraOff}</p>
          </div>
        </Match>
      </Switch>
      {props.children}
    </div>
  );
}

/** The steps for this browser, in the place of the picture. */
function Denied(props: { problem: DeviceProblem; onAsk: () => void }): JSX.Element {
  return (
    <div class="preview paper">
      <div class="problem" role="alert" data-problem={props.problem.problem.code}>
        <span class="problem-icon">
          <Icon name={props.problem.kind === "microphone" ? "mic-off" : "video-off"} />
        </span>
        <h2>{explain(props.problem).title}</h2>
        <ol>
          <For each={stepsFor(props.problem)}>
            {(step) => (
              <li>
                <Words text={step} />
              </li>
            )}
          </For>
        </ol>
        <p>{explain(props.problem).text}</p>
        <div class="row">
          <button type="button" class="btn secondary" data-action="ask-again" onClick={() => props.onAsk()}>
            {t().devices.askAgain}
          </button>
        </div>
      </div>
    </div>
  );
}

/** The line below: all is well, or what is not quite. */
function Note(props: {
  state: Accessor<MeetingState>;
  isSilent: boolean;
  problem: DeviceProblem | null;
}): JSX.Element {
  const note = createMemo((): { text: string; warn: boolean; icon: IconName } | null => {
    const { microphone, camera } = props.state().self;
    if (props.problem !== null && camera.kind !== "failed" && props.problem.problem.code !== "permission-denied") {
      const { title, text } = explain(props.problem);
      return { text: `${title}. ${text}`, warn: true, icon: "triangle-alert" };
    }
    if (microphone.kind === "off") return { text: t().prejoin.microphoneOff, warn: false, icon: "mic-off" };
    if (microphone.kind !== "on") return null;
    if (props.isSilent) return { text: t().prejoin.silent, warn: true, icon: "triangle-alert" };
    if (camera.kind === "on") return { text: t().prejoin.allFine, warn: false, icon: "check" };
    return camera.kind === "off" ? { text: t().prejoin.cameraOnlyOff, warn: false, icon: "check" } : null;
  });
  return (
    <p class="quiet-note" classList={{ "fine-note": note()?.warn === false, "warn-note": note()?.warn === true }} role="status">
      <Show when={note()}>
        {(shown) => (
          <>
            <Icon name={shown().icon} />
            <span>{shown().text}</span>
          </>
        )}
      </Show>
    </p>
  );
}
