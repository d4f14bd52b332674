/** The chat panel. */

import { type Accessor, createEffect, createMemo, createSignal, For, type JSX, on, onMount, Show } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { ChatMessage, MeetingState } from "../meeting/state";
import { clockTime } from "./format";
import { language, t } from "./language";
import { byKey } from "./observe";
import { Avatar, focusAtOnce, Icon } from "./parts";
import { linkParts } from "./links";

/** Messages of one person within this time stand together under one name. */
const TOGETHER_MS = 180_000;
const LENGTH_MAX = 4_000;

const belongsTo = (message: ChatMessage, before: ChatMessage | undefined): boolean =>
  before !== undefined &&
  before.from === message.from &&
  before.isOwn === message.isOwn &&
  before.name === message.name &&
  message.at - before.at < TOGETHER_MS;

export function Chat(props: { meeting: Meeting; state: Accessor<MeetingState>; onClose: () => void }): JSX.Element {
  let log!: HTMLDivElement;
  let field!: HTMLTextAreaElement;
  const [isEmpty, setIsEmpty] = createSignal(true);
  const messages = byKey(
    () => props.state().chat,
    (message) => message.id,
  );
  const firstOfGroup = createMemo(() => {
    const chat = props.state().chat;
    return new Set(chat.filter((message, i) => !belongsTo(message, chat[i - 1])).map((message) => message.id));
  });

  onMount(() => {
    focusAtOnce(field);
    log.scrollTop = log.scrollHeight;
  });

  // Who reads further up is not pulled away by a new message.
  createEffect(
    on(messages.keys, () => {
      const wasAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 160;
      queueMicrotask(() => {
        if (wasAtEnd) log.scrollTop = log.scrollHeight;
      });
    }),
  );

  const send = (event?: Event): void => {
    event?.preventDefault();
    const text = field.value.trim();
    if (text === "") return;
    props.meeting.sendChat(text);
    field.value = "";
    setIsEmpty(true);
    field.focus();
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Escape") props.onClose();
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target === field) send(event);
  };

  return (
    <aside class="panel" aria-label={t().chat.title} onKeyDown={onKeyDown} data-panel="chat">
      <header class="panel-head">
        <h2>{t().chat.title}</h2>
        <button
          type="button"
          class="icon-btn"
          aria-label={t().close}
          title={t().close}
          data-action="close-chat"
          onClick={() => props.onClose()}
        >
          <Icon name="x" />
        </button>
      </header>
      <div ref={log} class="messages" role="log" tabindex="0" aria-label={t().chat.log}>
        <Show when={messages.keys().length > 0} fallback={<p class="messages-empty">{t().chat.empty}</p>}>
          <ol>
            <For each={messages.keys()}>
              {(id) => (
                <Message
                  message={messages.item(id)}
                  isFirst={firstOfGroup().has(id)}
                  onRetry={() => props.meeting.retryChat(id)}
                />
              )}
            </For>
          </ol>
        </Show>
      </div>
      <form class="composer" onSubmit={send}>
        <div>
          <textarea
            ref={field}
            rows="1"
            maxlength={LENGTH_MAX}
            placeholder={t().chat.write}
            aria-label={t().chat.field}
            onInput={() => setIsEmpty(field.value.trim() === "")}
          />
          <button
            type="submit"
            class="icon-btn primary"
            aria-label={t().chat.send}
            title={t().chat.send}
            aria-disabled={isEmpty()}
            data-action="send"
          >
            <Icon name="send" />
          </button>
        </div>
      </form>
    </aside>
  );
}

function Message(props: {
  message: Accessor<ChatMessage | undefined>;
  isFirst: boolean;
  onRetry: () => void;
}): JSX.Element {
  return (
    <Show when={props.message()}>
      {(message) => {
        const name = (): string => (message().name === "" ? t().guest : message().name);
        const time = (): string => clockTime(language(), message().at);
        return (
          <li
            class="message"
            classList={{ own: message().isOwn, more: !props.isFirst, sending: message().delivery === "sending" }}
            data-chat={message().id}
            data-from={message().isOwn ? "self" : message().from}
            data-delivery={message().delivery}
          >
            <Show
              when={props.isFirst}
              fallback={<span class="vh">{message().isOwn ? t().you : name()}</span>}
            >
              <div class="message-head">
                <Show when={!message().isOwn} fallback={<b>{t().you}</b>}>
                  <Avatar name={name()} />
                  <b>
                    <bdi>{name()}</bdi>
                  </b>
                </Show>
                <time dateTime={new Date(message().at).toISOString()}>{time()}</time>
              </div>
            </Show>
            <div class="bubble" dir="auto">
              <For each={linkParts(message().text)}>
                {(part) =>
                  part.href === null ? (
                    part.text
                  ) : (
                    <a href={part.href} target="_blank" rel="noopener noreferrer">
                      {part.text}
                    </a>
                  )
                }
              </For>
            </div>
            <Show when={message().delivery === "failed"}>
              <p class="delivery failed">
                {t().chat.failed}
                <button type="button" class="link" data-action="retry-chat" onClick={() => props.onRetry()}>
                  {t().chat.again}
                </button>
              </p>
            </Show>
          </li>
        );
      }}
    </Show>
  );
}
