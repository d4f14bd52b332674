/** From the tiles on the page to what the bridge should send. Pure. */

import type { VideoConstraints } from "../link/channel_messages";
import type { VisibleTile } from "./events";
import type { SourceName } from "./state";

/** Heights by source; the largest of several tiles counts. */
export function constraintsFor(
  tiles: readonly VisibleTile[],
  onStage: readonly SourceName[],
  isScreen: (source: SourceName) => boolean,
): VideoConstraints {
  const heights = new Map<string, number>();
  for (const tile of tiles) {
    if (tile.height <= 0) continue;
    // Words on a shared screen are lost in a smaller picture.
    const height = isScreen(tile.source) ? SCREEN_HEIGHT : heightFor(tile.height);
    heights.set(tile.source, Math.max(height, heights.get(tile.source) ?? 0));
  }
  return { heights, onStage: onStage.filter((source) => heights.has(source)) };
}

/** The height that is worth sending for a tile of so many device pixels. */
export function heightFor(pixels: number): number {
  if (pixels <= 200) return 180;
  return pixels <= 420 ? 360 : 720;
}

export function areSame(a: VideoConstraints, b: VideoConstraints): boolean {
  if (a.heights.size !== b.heights.size || a.onStage.length !== b.onStage.length) return false;
  for (const [source, height] of a.heights) {
    if (b.heights.get(source) !== height) return false;
  }
  return a.onStage.every((source, index) => source === b.onStage[index]);
}

const SCREEN_HEIGHT = 2160;
