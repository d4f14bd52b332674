/** The frame of a panel beside the stage. */

import { type JSX, onMount, Show } from "solid-js";
import { t } from "./language";
import { focusAtOnce, Icon } from "./parts";

export type PanelKind = "chat" | "people" | "protect" | "rooms";

export function Panel(props: {
  kind: PanelKind;
  title: string;
  count?: number;
  onClose: () => void;
  children: JSX.Element;
  foot?: JSX.Element;
}): JSX.Element {
  let close!: HTMLButtonElement;
  onMount(() => focusAtOnce(close));
  return (
    <aside
      class="panel"
      aria-label={props.title}
      data-panel={props.kind}
      onKeyDown={(event) => {
        if (event.key === "Escape") props.onClose();
      }}
    >
      <header class="panel-head">
        <h2>{props.title}</h2>
        <Show when={props.count !== undefined}>
          <span class="count">{props.count}</span>
        </Show>
        <button
          ref={close}
          type="button"
          class="icon-btn"
          aria-label={t().close}
          title={t().close}
          data-action={`close-${props.kind}`}
          onClick={() => props.onClose()}
        >
          <Icon name="x" />
        </button>
      </header>
      <div class="panel-scroll">{props.children}</div>
      <Show when={props.foot}>
        <footer class="panel-foot">{props.foot}</footer>
      </Show>
    </aside>
  );
}
