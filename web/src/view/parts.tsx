/** Small pieces that every page uses. */

import { type Accessor, For, type JSX, Show } from "solid-js";
import type { Part, Text } from "../i18n/messages";
import { type BrokenLine, countdown } from "./countdown";
import type { IconName } from "./icons";
import { switchLanguage, t } from "./language";
import { hueOf, initialsOf } from "./person";
import { switchTheme, theme } from "./theme";

export function Icon(props: { name: IconName }): JSX.Element {
  return (
    <svg class={`i i-${props.name}`} aria-hidden="true">
      <use href={`#i-${props.name}`} />
    </svg>
  );
}

const part = (p: Part): JSX.Element =>
  typeof p === "string" ? (
    p
  ) : (
    <b>
      <bdi>{p.strong}</bdi>
    </b>
  );

/** On a phone a focused field opens the keyboard over the page; there the user begins. */
export function focusAtOnce(field: HTMLElement): void {
  if (matchMedia("(pointer: fine)").matches) field.focus();
}

/** A sentence with its emphasised and foreign parts. */
export function Words(props: { text: Text }): JSX.Element {
  return (
    <Show when={typeof props.text !== "string"} fallback={props.text as string}>
      <For each={props.text as readonly Part[]}>{part}</For>
    </Show>
  );
}

/** The same sentence for ears. */
export const plain = (text: Text): string =>
  typeof text === "string" ? text : text.map((p) => (typeof p === "string" ? p : p.strong)).join("");

export function Avatar(props: { name: string; large?: boolean }): JSX.Element {
  return (
    <span class={`avatar av-${hueOf(props.name)}`} classList={{ xl: props.large === true }} aria-hidden="true">
      {initialsOf(props.name)}
    </span>
  );
}

/** Why entering takes so long. */
export function NoAnswer(props: { line: Accessor<BrokenLine> }): JSX.Element {
  const seconds = countdown(() => props.line());
  return (
    <span data-notice="no-answer">
      <Words text={props.line().isOffline ? t().joining.offline : t().joining.noAnswer(seconds())} />
    </span>
  );
}

/** A page outside the meeting: name of the house, language, light or dark. */
export function Page(props: {
  screen: string;
  onHome: () => void;
  children: JSX.Element;
  foot?: JSX.Element;
}): JSX.Element {
  const home = (event: MouseEvent): void => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    props.onHome();
  };
  return (
    <div class="page" data-screen={props.screen}>
      <header class="top">
        <a class="brand" href="/" onClick={home}>
          <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
            <circle cx="16" cy="16" r="5.5" fill="currentColor" />
            <path
              d="M10.2 5.2a12.3 12.3 0 0 1 11.6 0M28.2 14.3a12.3 12.3 0 0 1-5.9 10.2M9.7 24.5a12.3 12.3 0 0 1-5.9-10.2"
              fill="none"
              stroke="currentColor"
              stroke-width="4"
              stroke-linecap="round"
            />
          </svg>
          <span>Tertulia</span>
        </a>
        <nav>
          <button
            type="button"
            class="ghost"
            data-action="language"
            aria-label={t().switchLanguage}
            title={t().switchLanguage}
            onClick={switchLanguage}
          >
            <Icon name="globe" />
            <span>{t().languageName}</span>
          </button>
          <button
            type="button"
            class="icon-btn"
            data-action="theme"
            aria-label={t().switchTheme}
            title={t().switchTheme}
            onClick={switchTheme}
          >
            <Icon name={theme() === "dark" ? "sun" : "moon"} />
          </button>
        </nav>
      </header>
      {props.children}
      <Show when={props.foot}>
        <footer class="foot">{props.foot}</footer>
      </Show>
    </div>
  );
}

/** A card in the middle of the page: one message, one thing to do. */
export function CardPage(props: {
  screen: string;
  onHome: () => void;
  icon: IconName | "spinner";
  title: string;
  wide?: boolean;
  children: JSX.Element;
}): JSX.Element {
  return (
    <Page screen={props.screen} onHome={props.onHome}>
      <main class="card-main">
        <div class="card" classList={{ wide: props.wide === true }}>
          <span class="card-icon">
            <Show when={props.icon !== "spinner"} fallback={<span class="spin" />}>
              <Icon name={props.icon as IconName} />
            </Show>
          </span>
          <h1>{props.title}</h1>
          {props.children}
        </div>
      </main>
    </Page>
  );
}
