/** The frame of a menu: where the focus goes, and what the keys do. */

import { type JSX, onMount } from "solid-js";

export function Menu(props: { label?: string; kind?: string; at?: DOMRect; onClose: () => void; children: JSX.Element }): JSX.Element {
  let menu!: HTMLDivElement;
  const items = (): HTMLElement[] => [...menu.querySelectorAll<HTMLElement>('[role^="menuitem"]:not([aria-disabled="true"])')];
  onMount(() => {
    if (props.at !== undefined) placeBeside(menu, props.at);
    (items().find((item) => item.getAttribute("aria-checked") === "true") ?? items()[0] ?? menu).focus();
  });

  const onKeyDown = (event: KeyboardEvent): void => {
    const all = items();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const letter = event.key.toLocaleLowerCase();
    const byLetter = (): HTMLElement | undefined =>
      [...all.slice(at + 1), ...all].find((item) => item.textContent?.trim().toLocaleLowerCase().startsWith(letter));
    if (event.key === "Escape") props.onClose();
    else if (event.key === "ArrowDown") (all[at + 1] ?? all[0])?.focus();
    else if (event.key === "ArrowUp") (all[at - 1] ?? all.at(-1))?.focus();
    else if (event.key === "Home") all[0]?.focus();
    else if (event.key === "End") all.at(-1)?.focus();
    else if (letter.length === 1 && letter !== " ") byLetter()?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div
      ref={menu}
      class="menu"
      classList={{ placed: props.at !== undefined }}
      role="menu"
      tabindex="-1"
      aria-label={props.label}
      data-menu={props.kind}
      onKeyDown={onKeyDown}
    >
      {props.children}
    </div>
  );
}

const EDGE = 12;
const GAP = 6;

/** Below what opened it if there is room, else above; never beyond the window. */
function placeBeside(menu: HTMLElement, opener: DOMRect): void {
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.min(Math.max(EDGE, opener.right - width), innerWidth - width - EDGE);
  const below = opener.bottom + GAP;
  const top = below + height + EDGE <= innerHeight ? below : Math.max(EDGE, opener.top - GAP - height);
  menu.style.left = `${Math.max(EDGE, left)}px`;
  menu.style.top = `${top}px`;
}
