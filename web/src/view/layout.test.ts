import { describe, expect, test } from "vitest";
import { arrange, layoutTiles, neighbour, pageSize, SELF, screenOf } from "./layout";

/** "columns×rows · width×height", as the design's table writes it. */
const shape = (n: number, W: number, H: number, gap: number): string => {
  const grid = layoutTiles(n, W, H, gap);
  const first = grid.boxes[0];
  return `${grid.cols}×${grid.rows} · ${first?.w}×${first?.h}`;
};

describe("the table of the design (3.2)", () => {
  test.each([
    [1, "1×1 · 1416×800"],
    [2, "2×1 · 704×528"],
    [3, "2×2 · 704×396"],
    [4, "2×2 · 704×396"],
    [6, "3×2 · 466×350"],
    [8, "3×3 · 464×261"],
    [9, "3×3 · 464×261"],
    [12, "4×3 · 348×261"],
    [16, "4×4 · 344×194"],
    [25, "5×5 · 273×153"],
  ])("%i people at 1440 × 900", (n, expected) => expect(shape(n, 1416, 800, 8)).toBe(expected));

  test.each([
    [2, "1×2 · 544×306"],
    [5, "2×3 · 357×201"],
    [20, "4×5 · 209×117"],
  ])("%i people at 1280 × 720 with a panel", (n, expected) => expect(shape(n, 876, 620, 8)).toBe(expected));

  test.each([
    [1, "1×1 · 374×498"],
    [3, "1×3 · 326×244"],
    [5, "2×3 · 184×244"],
    [9, "2×5 · 184×144"],
  ])("%i people on an upright phone", (n, expected) => expect(shape(n, 374, 746, 6)).toBe(expected));

  test("page sizes", () => {
    expect(pageSize(1416, 800, 8)).toBe(25);
    expect(pageSize(374, 706, 6)).toBe(10);
  });
});

const people = (n: number): string[] => Array.from({ length: n }, (_, i) => `p${i}`);

describe("views", () => {
  test("no tile leaves the area, and none covers another", () => {
    for (let n = 0; n < 40; n++)
      for (const [width, height] of [[1416, 800], [876, 620], [374, 746], [768, 374], [300, 200]] as const)
        for (const screen of [null, screenOf("p0")]) {
          const boxes = [...arrange({ width, height, others: people(n), screen, page: 0 }).places.values()];
          for (const box of boxes) {
            expect(box.x).toBeGreaterThanOrEqual(0);
            expect(box.y).toBeGreaterThanOrEqual(0);
            expect(box.x + box.w).toBeLessThanOrEqual(width + 1);
            expect(box.y + box.h).toBeLessThanOrEqual(height + 1);
          }
          const flat = boxes.filter((box) => !box.floating);
          for (const [i, a] of flat.entries())
            for (const b of flat.slice(i + 1))
              expect(a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y).toBe(true);
        }
  });

  test("each page ends with oneself, and together they show everyone once", () => {
    const others = people(60);
    const first = arrange({ width: 1256, height: 620, others, screen: null, page: 0 });
    const seen: string[] = [];
    for (let page = 0; page < first.pages; page++) {
      const keys = [...arrange({ width: 1256, height: 620, others, screen: null, page }).places.keys()];
      expect(keys.at(-1)).toBe(SELF);
      seen.push(...keys.slice(0, -1));
    }
    expect(seen).toEqual(others);
  });

  test("a page that no longer exists becomes the last one", () => {
    const shown = arrange({ width: 1256, height: 620, others: people(30), screen: null, page: 9 });
    expect(shown.page).toBe(shown.pages - 1);
  });

  test("two on an upright phone: the other large, oneself floating", () => {
    const { view, places } = arrange({ width: 374, height: 746, others: ["p0"], screen: null, page: 0 });
    expect(view).toBe("pair");
    expect(places.get("p0")).toMatchObject({ w: 374, h: 746 });
    expect(places.get(SELF)).toMatchObject({ w: 110, h: 154, floating: true });
  });

  test("a shared screen leaves a strip that says how many more there are", () => {
    const { places, left } = arrange({ width: 1416, height: 800, others: people(12), screen: screenOf("p0"), page: 0 });
    expect(places.get(screenOf("p0"))).toMatchObject({ x: 0, y: 0, h: 800, large: true });
    expect(places.size - 1 + left).toBe(13);
    expect(places.has(SELF)).toBe(true);
  });
});

test("arrow keys go to the nearest tile in their direction", () => {
  const { places } = arrange({ width: 1416, height: 800, others: people(8), screen: null, page: 0 });
  expect(neighbour(places, "p0", "right")).toBe("p1");
  expect(neighbour(places, "p1", "down")).toBe("p4");
  expect(neighbour(places, "p0", "left")).toBeNull();
});
