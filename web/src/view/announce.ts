/** One polite voice for screen readers: what eyes see happen, ears hear once. */

import { createSignal } from "solid-js";

const [announcement, setAnnouncement] = createSignal("", { equals: false });

export { announcement };

export function announce(text: string): void {
  setAnnouncement(text);
}
