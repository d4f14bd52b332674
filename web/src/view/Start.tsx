/** The start page: think of a name, or go back to a room. */

import { createSignal, createUniqueId, For, type JSX, onMount, Show } from "solid-js";
import { visitTime } from "./format";
import { language, t } from "./language";
import { memory } from "./memory";
import { focusAtOnce, Icon, Page } from "./parts";
import { faultOfName, roomPath } from "./route";
import { TableArt } from "./TableArt";

const pick = (words: readonly string[]): string => words[Math.floor(Math.random() * words.length)] ?? "";

const suggest = (): string =>
  `${pick(t().start.firstWords)}-${pick(t().start.secondWords)}-${10 + Math.floor(Math.random() * 90)}`;

export function Start(props: { onEnter: (path: string) => void }): JSX.Element {
  const [suggestion, setSuggestion] = createSignal(suggest());
  const [error, setError] = createSignal<string | null>(null);
  const [visits, setVisits] = createSignal(memory.visits());
  const fieldId = createUniqueId();
  const errorId = createUniqueId();
  let field!: HTMLInputElement;

  onMount(() => focusAtOnce(field));

  const enter = (event: SubmitEvent): void => {
    event.preventDefault();
    const name = field.value.trim() === "" ? suggestion() : field.value.trim();
    const fault = faultOfName(name);
    if (fault === null) return props.onEnter(roomPath(name));
    setError(fault.kind === "reserved" ? t().start.reserved(name) : t().start.badCharacters(fault.found));
    field.focus();
  };

  const takeSuggestion = (): void => {
    field.value = suggestion();
    setError(null);
    field.focus();
  };

  const forget = (path: string): void => {
    memory.forgetVisit(path);
    setVisits(memory.visits());
  };

  const visit = (event: MouseEvent, path: string): void => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    props.onEnter(path);
  };

  return (
    <Page screen="start" onHome={() => field.focus()} foot={t().start.foot}>
      <main class="start-main">
        <div>
          <h1>
            <For each={t().start.title}>{(line) => <span>{line}</span>}</For>
          </h1>
          <p class="lead">{t().start.lead}</p>
          <form class="start-form" onSubmit={enter} autocomplete="off">
            <label class="label" for={fieldId}>
              {t().start.room}
            </label>
            <div class="combo">
              <input
                ref={field}
                id={fieldId}
                class="input"
                name="room"
                placeholder={suggestion()}
                maxlength="200"
                autocomplete="off"
                autocapitalize="none"
                spellcheck={false}
                aria-invalid={error() !== null}
                aria-describedby={errorId}
                onInput={() => setError(null)}
              />
              <button type="submit" class="btn primary lg" data-action="enter">
                {t().start.enter}
                <Icon name="arrow-right" />
              </button>
            </div>
            <div id={errorId} role="alert">
              <Show when={error()}>
                {(text) => (
                  <p class="field-error">
                    <Icon name="triangle-alert" />
                    {text()}
                  </p>
                )}
              </Show>
            </div>
            <p class="suggestion">
              <span>{t().start.orSuggestion}</span>
              <button type="button" class="chip" onClick={takeSuggestion}>
                {suggestion()}
              </button>
              <button
                type="button"
                class="icon-btn"
                aria-label={t().start.otherSuggestion}
                title={t().start.otherSuggestion}
                onClick={() => setSuggestion(suggest())}
              >
                <Icon name="refresh-cw" />
              </button>
            </p>
          </form>
          <Show when={visits().length > 0}>
            <section class="recent" aria-labelledby={`${fieldId}-recent`}>
              <h2 id={`${fieldId}-recent`}>{t().start.recent}</h2>
              <ul>
                <For each={visits()}>
                  {(room) => (
                    <li>
                      <a href={room.path} onClick={(event) => visit(event, room.path)}>
                        <span class="recent-icon">
                          <Icon name="clock" />
                        </span>
                        <span class="recent-text">
                          <b>
                            <bdi>{room.name}</bdi>
                          </b>
                          <small>{visitTime(language(), room.at, Date.now())}</small>
                        </span>
                      </a>
                      <button
                        type="button"
                        class="icon-btn"
                        aria-label={t().start.forget(room.name)}
                        title={t().start.forget(room.name)}
                        onClick={() => forget(room.path)}
                      >
                        <Icon name="x" />
                      </button>
                    </li>
                  )}
                </For>
              </ul>
            </section>
          </Show>
        </div>
        <TableArt />
      </main>
    </Page>
  );
}
