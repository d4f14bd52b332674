/**
 * How the user's video is encoded for the bridge: which simulcast streams run, and how large they are.
 *
 * Pure. Three streams are always signalled; a small picture uses fewer of them, because Chromium encodes no more than
 * fit and would send a 180-line camera as 45 lines otherwise.
 */

export interface EncodingPlan {
  readonly isActive: boolean;
  readonly scaleDownBy: number;
  readonly maxBitrate: number;
}

/** How many streams a picture of this height is worth. */
export function streamCount(captureHeight: number): 1 | 2 | 3 {
  if (captureHeight < 270) return 1;
  return captureHeight < 540 ? 2 : 3;
}

/**
 * Plans `count` encodings (those that the sender has, low to high) for a camera.
 *
 * `wanted` is the largest height that any receiver asks for: -1 everything, 0 nothing. A stream runs if it is not larger
 * than that; the smallest one runs whenever anything is wanted.
 */
export function planCamera(count: number, captureHeight: number, wanted: number): EncodingPlan[] {
  const streams = Math.min(streamCount(captureHeight), count);
  return Array.from({ length: count }, (_, index) => {
    if (index >= streams) return { isActive: false, scaleDownBy: 1, maxBitrate: MAX_BITRATES[0] };
    const scaleDownBy = 2 ** (streams - 1 - index);
    const height = captureHeight / scaleDownBy;
    const isSmallEnough = wanted < 0 || (wanted > 0 && (index === 0 || height <= wanted * TOLERANCE));
    return { isActive: isSmallEnough, scaleDownBy, maxBitrate: maxBitrate(height) };
  });
}

/** A shared screen is one stream in full size: its text must stay readable. */
export function planScreen(count: number, wanted: number): EncodingPlan[] {
  return Array.from({ length: count }, (_, index) => ({
    isActive: index === 0 && wanted !== 0,
    scaleDownBy: 1,
    maxBitrate: SCREEN_MAX_BITRATE,
  }));
}

/** Cameras have odd heights: 368 lines count as 360. */
const TOLERANCE = 1.15;
const MAX_BITRATES = [200_000, 500_000, 1_500_000] as const;
const SCREEN_MAX_BITRATE = 2_500_000;

function maxBitrate(height: number): number {
  if (height <= 200) return MAX_BITRATES[0];
  return height <= 400 ? MAX_BITRATES[1] : MAX_BITRATES[2];
}
