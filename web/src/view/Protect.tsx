/** The panel for password and lobby, for moderators. It shows what the room says, not what was pressed. */

import { type Accessor, createUniqueId, type JSX, Show } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { MeetingState } from "../meeting/state";
import { t } from "./language";
import { Panel } from "./Panel";

const PASSWORD_MAX = 200;

export function Protect(props: { meeting: Meeting; state: Accessor<MeetingState>; onClose: () => void }): JSX.Element {
  const id = createUniqueId();
  let field!: HTMLInputElement;
  const door = () => props.state().door;
  const set = (event: Event): void => {
    event.preventDefault();
    if (field.value === "") return;
    props.meeting.order({ kind: "set-password", password: field.value });
    field.value = "";
  };
  return (
    <Panel kind="protect" title={t().protect.title} onClose={props.onClose}>
      <Show when={props.state().services.hasLobby}>
        <section class="setting">
          <span>
            <b id={`${id}-lobby`}>{t().protect.lobby}</b>
            <small>{t().protect.lobbyText}</small>
          </span>
          <button
            type="button"
            class="switch"
            role="switch"
            aria-checked={door().hasLobby}
            aria-labelledby={`${id}-lobby`}
            data-action="lobby"
            onClick={() => props.meeting.order({ kind: "set-lobby", isOn: !door().hasLobby })}
          />
        </section>
      </Show>
      <section class="setting column">
        <span>
          <b>{t().protect.password}</b>
          <small role="status" data-password={door().hasPassword ? "set" : "none"}>
            {door().hasPassword ? t().protect.isLocked : t().protect.isOpen}
          </small>
        </span>
        <form class="one-line" onSubmit={set} autocomplete="off">
          <input
            ref={field}
            class="input"
            name="new-password"
            maxlength={PASSWORD_MAX}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            placeholder={t().protect.newPassword}
            aria-label={t().protect.newPassword}
          />
          <button type="submit" class="btn secondary" data-action="set-password">
            {t().protect.set}
          </button>
        </form>
        <Show when={door().hasPassword}>
          <button
            type="button"
            class="link"
            data-action="remove-password"
            onClick={() => props.meeting.order({ kind: "set-password", password: "" })}
          >
            {t().protect.removePassword}
          </button>
        </Show>
      </section>
    </Panel>
  );
}
