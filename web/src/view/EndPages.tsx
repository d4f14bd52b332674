/** Cards before and after the meeting: entering, left, removed, not let in, ended, and what went wrong. */

import { type JSX, Match, Show, Switch } from "solid-js";
import type { Connection, LeaveReason, Problem } from "../meeting/state";
import { brokenLine } from "./countdown";
import { fullTime } from "./format";
import type { IconName } from "./icons";
import { language, t } from "./language";
import { CopyButton } from "./MeetingPage";
import { CardPage, Icon, NoAnswer, Words } from "./parts";

export function Joining(props: {
  roomName: string;
  connection: Connection;
  onHome: () => void;
  onCancel: () => void;
}): JSX.Element {
  return (
    <CardPage screen="joining" onHome={props.onHome} icon="spinner" title={t().joining.title(props.roomName)}>
      <p>
        <Show when={brokenLine(props.connection)} fallback={t().joining.text}>
          {(line) => <NoAnswer line={line} />}
        </Show>
      </p>
      <div class="row">
        <button type="button" class="btn secondary" data-action="cancel" onClick={() => props.onCancel()}>
          {t().joining.cancel}
        </button>
      </div>
    </CardPage>
  );
}

export function Left(props: {
  roomName: string;
  reason: LeaveReason;
  minutes: number | null;
  onHome: () => void;
  onRejoin: () => void;
}): JSX.Element {
  const room = (): { room: string; minutes: number | null } => ({ room: props.roomName, minutes: props.minutes });
  const icon = (): IconName => ({ self: "coffee", removed: "door-open", denied: "door-open", ended: "check" } as const)[props.reason.kind];
  const title = (): string =>
    ({
      self: t().left.title,
      removed: t().left.removedTitle,
      denied: t().left.deniedTitle,
      ended: t().left.endedTitle,
    })[props.reason.kind];
  const why = (): string => ("reason" in props.reason ? props.reason.reason : "");
  return (
    <CardPage screen="left" onHome={props.onHome} icon={icon()} title={title()}>
      <p data-reason={props.reason.kind}>
        <Switch>
          <Match when={props.reason.kind === "self"}>
            <Words text={t().left.text(room())} />
          </Match>
          <Match when={props.reason.kind === "removed" && props.reason}>
            {(removed) => <Words text={t().left.removedText({ room: props.roomName, by: removed().by })} />}
          </Match>
          <Match when={props.reason.kind === "denied"}>
            <Words text={t().left.deniedText(props.roomName)} />
          </Match>
          <Match when={props.reason.kind === "ended"}>
            <Words text={t().left.endedText(room())} />
          </Match>
        </Switch>
      </p>
      <Show when={why() !== ""}>
        <p>
          <Words text={t().left.reason(why())} />
        </p>
      </Show>
      <div class="row">
        <button type="button" class="btn primary" data-action="rejoin" onClick={() => props.onRejoin()}>
          {props.reason.kind === "denied" ? t().left.knockAgain : t().rejoin}
        </button>
        <button type="button" class="btn secondary" data-action="home" onClick={() => props.onHome()}>
          {t().startPage}
        </button>
      </div>
    </CardPage>
  );
}

const NETWORK: readonly Problem["code"][] = ["unreachable", "media-failed", "configuration-missing"];
/** Trying again changes nothing. */
const FINAL: readonly Problem["code"][] = ["room-name-invalid", "banned", "browser-unsupported"];

export function Failed(props: {
  roomName: string;
  problem: Problem;
  at: number;
  onHome: () => void;
  onRetry: () => void;
}): JSX.Element {
  const words = () => t().problems[props.problem.code];
  const isFinal = (): boolean => FINAL.includes(props.problem.code);
  // Paths only: an address may carry a secret behind its question mark.
  const place = location.origin + location.pathname;
  const report = (): string =>
    [
      `${t().error.what}: ${props.problem.code}${props.problem.detail === "" ? "" : ` · ${props.problem.detail}`}`,
      `${t().error.when}: ${new Date(props.at).toISOString()}`,
      `${t().error.where}: ${place}`,
      `${t().error.browser}: ${navigator.userAgent}`,
      `${t().error.cause}: ${words().cause}`,
    ].join("\n");
  return (
    <CardPage
      screen="error"
      onHome={props.onHome}
      icon={NETWORK.includes(props.problem.code) ? "wifi-off" : "triangle-alert"}
      title={words().title}
      wide
    >
      <p role="alert" data-problem={props.problem.code} data-actor={props.problem.actor}>
        {words().text}
      </p>
      <div class="row">
        <Show when={!isFinal()}>
          <button type="button" class="btn primary" data-action="retry" onClick={() => props.onRetry()}>
            {t().tryAgain}
          </button>
        </Show>
        <button
          type="button"
          class="btn"
          classList={{ primary: isFinal(), secondary: !isFinal() }}
          data-action="home"
          onClick={() => props.onHome()}
        >
          {t().startPage}
        </button>
      </div>
      <details class="admin">
        <summary>
          <Icon name="sliders-horizontal" />
          {t().error.forAdministrator}
          <Icon name="chevron-down" />
        </summary>
        <dl>
          <dt>{t().error.what}</dt>
          <dd>
            <code>{props.problem.code}</code>
            <Show when={props.problem.detail !== ""}>
              {" · "}
              {props.problem.detail}
            </Show>
          </dd>
          <dt>{t().error.when}</dt>
          <dd>{fullTime(language(), props.at)}</dd>
          <dt>{t().error.where}</dt>
          <dd>{place}</dd>
          <dt>{t().error.browser}</dt>
          <dd>{navigator.userAgent}</dd>
          <dt>{t().error.cause}</dt>
          <dd>{words().cause}</dd>
        </dl>
        <CopyButton text={report} word={t().error.copyAll} action="copy-report" />
      </details>
    </CardPage>
  );
}
