/** The drawing on the start page: a round table seen from above, and cups. */

import { For, type JSX } from "solid-js";

/** Angle round the table, sleeve, hair. */
const SEATS: readonly (readonly [number, string, string])[] = [
  [-90, "#2f5d62", "#6b4631"],
  [-38, "#c48a3a", "#2a201c"],
  [14, "#8a4b52", "#c9a063"],
  [66, "#55604f", "#8d8a86"],
  [118, "#d9c7ad", "#44666a"],
  [170, "#3d4f66", "#3c2a20"],
  [222, "#9a4f3c", "#1b1512"],
];

/** Place on the table, and what is in the cup. */
const CUPS: readonly (readonly [number, number, string])[] = [
  [84, -64, "#8a5a36"],
  [-92, -66, "#b9863f"],
  [20, 106, "#8a5a36"],
  [-96, 62, "#6f8a5c"],
  [108, -18, "#8a5a36"],
];

export function TableArt(): JSX.Element {
  return (
    <svg class="table-art" viewBox="-260 -260 520 520" aria-hidden="true">
      <circle r="252" class="floor" />
      <For each={SEATS}>
        {([angle, sleeve, hair]) => (
          <g transform={`rotate(${angle}) translate(196 0) rotate(90)`}>
            <ellipse cy="4" rx="47" ry="25" opacity=".07" />
            <path
              d="M-34-4C-46-18-44-44-30-50M34-4C46-18 44-44 30-50"
              transform="scale(1 -1) translate(0 -6)"
              fill="none"
              stroke={sleeve}
              stroke-width="15"
              stroke-linecap="round"
            />
            <ellipse rx="45" ry="22" fill={sleeve} />
            <circle r="20" cy="-1" fill={hair} />
            <circle r="20" cy="-1" fill="#fff" opacity=".08" />
            <path
              d="M-12-10a17 17 0 0 1 20-4"
              fill="none"
              stroke="#fff"
              stroke-opacity=".22"
              stroke-width="3"
              stroke-linecap="round"
            />
          </g>
        )}
      </For>
      <circle r="146" cy="5" opacity=".08" />
      <circle r="146" class="table" />
      <circle r="137" class="edge" stroke-width="1.5" />
      <g transform="rotate(14) translate(-6 -112)">
        <rect x="-34" width="68" height="46" rx="6" class="dark" />
        <rect x="-29" y="4" width="58" height="30" rx="3" class="dark2" />
      </g>
      <g transform="rotate(-24) translate(40 52)">
        <rect width="44" height="58" rx="3" class="paper" />
        <path d="M8 12h28M8 21h28M8 30h20M8 39h24" class="edge" stroke-width="2.5" />
      </g>
      <g transform="rotate(18) translate(-118 -2)">
        <rect width="40" height="54" rx="3" class="paper" />
        <path d="M8 12h24M8 21h18" class="edge" stroke-width="2.5" />
        <rect x="8" y="30" width="24" height="15" rx="2" class="green" />
      </g>
      <For each={CUPS}>
        {([x, y, tea]) => (
          <g transform={`translate(${x} ${y})`}>
            <circle cx="1" cy="3" r="17" opacity=".06" />
            <circle r="16" class="cup" />
            <circle r="9.5" class="cup2" />
            <circle r="7" fill={tea} />
          </g>
        )}
      </For>
      <circle r="27" cy="3" opacity=".06" />
      <circle r="26" class="cup" />
      <g fill="#6d8a68">
        <For each={[0, 60, 120, 180, 240, 300]}>
          {(angle) => <ellipse rx="7" ry="15" cy="-13" transform={`rotate(${angle})`} />}
        </For>
      </g>
      <g fill="#e0b04a">
        <circle r="6" />
        <circle cx="9" cy="7" r="4" />
        <circle cx="-8" cy="8" r="4.5" />
      </g>
    </svg>
  );
}
