/**
 * Where tiles go: pure functions from sizes to rectangles (design, sections 3.2 to 3.4). Sizes are CSS pixels.
 */

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export interface Grid {
  readonly cols: number;
  readonly rows: number;
  readonly boxes: readonly Box[];
}

const PAGE_MAX = 25;
const PAGE_MIN = 4;
const TILE_MIN_WIDTH = 150;
const TILE_MIN_HEIGHT = 110;

/** n equal tiles in a W × H area. */
export function layoutTiles(n: number, W: number, H: number, gap: number): Grid {
  const tall = H > 1.1 * W;
  const widest = tall ? 4 / 3 : 16 / 9;
  const narrowest = tall ? 3 / 4 : 4 / 3;
  let best = { cols: 1, rows: Math.max(n, 1), w: 0, h: 0, score: -Infinity };
  for (let cols = 1; cols <= n; cols++) {
    const rows = Math.ceil(n / cols);
    let w = (W - gap * (cols - 1)) / cols;
    let h = (H - gap * (rows - 1)) / rows;
    if (w <= 0 || h <= 0) continue;
    if (w / h > widest) w = h * widest;
    if (w / h < narrowest) h = w / narrowest;
    const emptyCells = cols * rows - n;
    const score = w * h * (1 - 0.03 * emptyCells);
    if (score > best.score + 0.5) best = { cols, rows, w: Math.floor(w), h: Math.floor(h), score };
  }
  const { cols, rows, w, h } = best;
  const top = (H - rows * h - (rows - 1) * gap) / 2;
  const boxes: Box[] = [];
  for (let i = 0; i < n; i++) {
    const row = Math.floor(i / cols);
    const inRow = row === rows - 1 ? n - row * cols : cols;
    const left = (W - inRow * w - (inRow - 1) * gap) / 2;
    boxes.push({
      x: Math.round(left + (i - row * cols) * (w + gap)),
      y: Math.round(top + row * (h + gap)),
      w,
      h,
    });
  }
  return { cols, rows, boxes };
}

/** How many tiles a page may hold: the most, up to 25, that leave each tile large enough. */
export function pageSize(W: number, H: number, gap: number): number {
  for (let n = PAGE_MAX; n > PAGE_MIN; n--) {
    const first = layoutTiles(n, W, H, gap).boxes[0];
    if (first !== undefined && first.w >= TILE_MIN_WIDTH && first.h >= TILE_MIN_HEIGHT) return n;
  }
  return PAGE_MIN;
}

/** A tile's name: a participant's id, "self", or either with ":screen" behind it. */
export type TileKey = string;

export const SELF: TileKey = "self";
export const screenOf = (owner: TileKey): TileKey => `${owner}:screen`;

export interface Placement extends Box {
  /** The large one beside a strip. */
  readonly large: boolean;
  /** Floats above another tile. */
  readonly floating: boolean;
}

export interface Arrangement {
  readonly view: "tiles" | "pair" | "screen";
  readonly places: ReadonlyMap<TileKey, Placement>;
  readonly pages: number;
  readonly page: number;
  /** How many people a strip has no room for. */
  readonly left: number;
  readonly strip: number;
}

export interface ArrangeInput {
  readonly width: number;
  readonly height: number;
  /** Everyone but the user, in the order of joining. */
  readonly others: readonly TileKey[];
  /** The shared screen to show large. */
  readonly screen: TileKey | null;
  readonly page: number;
}

const PAGER_HEIGHT = 40;
const SCREEN_BAR = 40;
const MORE_HEIGHT = 44;
const FLOAT = { w: 110, h: 154, edge: 8 };

/** A view is a function from people to places; the layer of tiles does the rest. */
export function arrange(input: ArrangeInput): Arrangement {
  const { width: W, height: H, others, screen } = input;
  const narrow = W < 600 || H < 420;
  const upright = W < 600 && H > W;
  const gap = narrow ? 6 : 8;
  const places = new Map<TileKey, Placement>();
  const put = (key: TileKey, box: Box, extra?: Partial<Placement>): void => {
    places.set(key, { ...box, large: false, floating: false, ...extra });
  };
  const single = { pages: 1, page: 0, left: 0, strip: 0 };
  if (W <= 0 || H <= 0) return { view: "tiles", places, ...single };

  if (screen !== null) {
    if (upright) {
      const barAndPicture = Math.round((W / 16) * 9 + SCREEN_BAR);
      put(screen, { x: 0, y: 0, w: W, h: barAndPicture }, { large: true });
      const faces = [...others.slice(0, 3), SELF];
      const top = barAndPicture + gap;
      layoutTiles(faces.length, W, H - top, gap).boxes.forEach((box, i) => {
        const key = faces[i];
        if (key !== undefined) put(key, { ...box, y: box.y + top });
      });
      return { view: "screen", places, ...single };
    }
    const w = Math.round(Math.min(264, Math.max(128, W * 0.17)));
    const h = Math.round((w / 16) * 9);
    const all = others.length + 1;
    const roomForAll = Math.floor((H + gap) / (h + gap)) >= all;
    const fit = roomForAll ? all : Math.max(1, Math.floor((H - MORE_HEIGHT + gap) / (h + gap)));
    const faces = [...others.slice(0, fit - 1), SELF];
    put(screen, { x: 0, y: 0, w: W - w - gap, h: H }, { large: true });
    faces.forEach((key, i) => put(key, { x: W - w, y: Math.round(i * (h + gap)), w, h }));
    return { view: "screen", places, ...single, left: all - faces.length, strip: w };
  }

  const only = others[0];
  if (upright && only !== undefined && others.length === 1) {
    put(only, { x: 0, y: 0, w: W, h: H });
    put(
      SELF,
      { x: W - FLOAT.w - FLOAT.edge, y: H - FLOAT.h - FLOAT.edge, w: FLOAT.w, h: FLOAT.h },
      { floating: true },
    );
    return { view: "pair", places, ...single };
  }

  const n = others.length + 1;
  const paged = n > pageSize(W, H, gap);
  const height = paged ? H - PAGER_HEIGHT : H;
  const size = pageSize(W, height, gap);
  // Each page shows oneself last, so a page has room for one fewer of the others.
  const pages = paged ? Math.ceil((n - 1) / (size - 1)) : 1;
  const page = Math.min(Math.max(input.page, 0), pages - 1);
  const shown = paged ? others.slice(page * (size - 1), (page + 1) * (size - 1)) : others;
  const keys = [...shown, SELF];
  layoutTiles(keys.length, W, height, gap).boxes.forEach((box, i) => {
    const key = keys[i];
    if (key !== undefined) put(key, box);
  });
  return { view: "tiles", places, pages, page, left: 0, strip: 0 };
}

/** The tile that lies in a direction from another, for the arrow keys. */
export function neighbour(
  places: ReadonlyMap<TileKey, Box>,
  from: TileKey,
  direction: "left" | "right" | "up" | "down",
): TileKey | null {
  const start = places.get(from);
  if (start === undefined) return null;
  const centre = (box: Box): [number, number] => [box.x + box.w / 2, box.y + box.h / 2];
  const [x0, y0] = centre(start);
  let best: { key: TileKey; distance: number } | null = null;
  for (const [key, box] of places) {
    if (key === from) continue;
    const [x, y] = centre(box);
    const along = direction === "left" ? x0 - x : direction === "right" ? x - x0 : direction === "up" ? y0 - y : y - y0;
    const across = Math.abs(direction === "left" || direction === "right" ? y - y0 : x - x0);
    if (along <= 4) continue;
    // Straight ahead counts more than near.
    const distance = along + 3 * across;
    if (best === null || distance < best.distance) best = { key, distance };
  }
  return best?.key ?? null;
}
