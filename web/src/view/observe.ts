/** From the meeting's one value to what Solid follows. */

import { type Accessor, createEffect, createMemo, createSignal, onCleanup } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { MeetingState } from "../meeting/state";

export function observe(meeting: Meeting): Accessor<MeetingState> {
  const [state, setState] = createSignal(meeting.state);
  onCleanup(meeting.subscribe((next) => setState(next)));
  return state;
}

const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((key, i) => key === b[i]);

/**
 * A list whose items are replaced when they change, as keys that stay: what is drawn for a key stays in the page,
 * and a `<video>` in it does not start anew.
 */
export function byKey<T>(
  items: Accessor<readonly T[]>,
  keyOf: (item: T) => string,
): { readonly keys: Accessor<readonly string[]>; readonly item: (key: string) => Accessor<T | undefined> } {
  const map = createMemo(() => new Map(items().map((item) => [keyOf(item), item])));
  const keys = createMemo((): readonly string[] => [...map().keys()], [], { equals: sameList });
  // While an item is being removed its drawing still sees the last value.
  const item = (key: string): Accessor<T | undefined> => createMemo<T | undefined>((last) => map().get(key) ?? last);
  return { keys, item };
}

/** True once a condition has held for so long; false as soon as it ends. */
export function lasting(condition: Accessor<boolean>, ms: number): Accessor<boolean> {
  const [reached, setReached] = createSignal(false);
  createEffect(() => {
    if (!condition()) return;
    const timer = setTimeout(() => setReached(true), ms);
    onCleanup(() => {
      clearTimeout(timer);
      setReached(false);
    });
  });
  return reached;
}

/** The time now, again and again while somebody looks. */
export function clock(everyMs: number): Accessor<number> {
  const [now, setNow] = createSignal(Date.now());
  const timer = setInterval(() => setNow(Date.now()), everyMs);
  onCleanup(() => clearInterval(timer));
  return now;
}
