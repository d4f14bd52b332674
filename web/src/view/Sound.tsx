/** Plays everyone's microphone. A browser may hold sound back until there was a click; then `onBlocked` is told. */

import { type Accessor, createEffect, createMemo, For, type JSX, onCleanup } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { MeetingState } from "../meeting/state";
import { byKey } from "./observe";

interface Voice {
  readonly key: string;
  readonly participant: string;
  readonly source: string;
  readonly trackKey: string | null;
}

const elements = new Set<HTMLAudioElement>();

/** Tries again, from within a click. */
export function playBlockedSound(): void {
  for (const element of elements) if (element.paused && element.srcObject !== null) element.play().catch(() => {});
}

export function Sound(props: { meeting: Meeting; state: Accessor<MeetingState>; onBlocked: () => void }): JSX.Element {
  const voices = byKey(
    (): readonly Voice[] =>
      props
        .state()
        .participants.flatMap((participant) =>
          participant.sources
            .filter((source) => source.kind === "microphone")
            .map((source) => ({
              key: `${participant.id} ${source.name}`,
              participant: participant.id,
              source: source.name,
              trackKey: source.trackKey,
            })),
        ),
    (voice) => voice.key,
  );
  const speaker = createMemo(() => props.state().devices.chosen.speaker);

  return (
    <For each={voices.keys()}>
      {(key) => {
        const voice = voices.item(key);
        const trackKey = createMemo(() => voice()?.trackKey ?? null);
        const element = new Audio();
        element.autoplay = true;
        elements.add(element);
        createEffect(() => {
          const now = voice();
          const track = trackKey() === null || now === undefined ? null : props.meeting.track(now.participant, now.source);
          if (track === null) {
            element.srcObject = null;
            return;
          }
          if (element.srcObject instanceof MediaStream && element.srcObject.getTracks()[0] === track) return;
          element.srcObject = new MediaStream([track]);
          element.play().catch((reason: unknown) => {
            // "AbortError" is only a newer track taking the place of this one.
            if (reason instanceof DOMException && reason.name === "NotAllowedError") props.onBlocked();
          });
        });
        createEffect(() => {
          // Firefox before 116 and Safari choose the speaker themselves.
          if ("setSinkId" in element) element.setSinkId(speaker() ?? "").catch(() => {});
        });
        onCleanup(() => {
          element.srcObject = null;
          elements.delete(element);
        });
        return null;
      }}
    </For>
  );
}
