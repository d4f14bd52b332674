/** A `<video>` that shows a track while it is wanted, and says when there is a picture to see. */

import { createEffect, createSignal, type JSX, onCleanup } from "solid-js";

export function Picture(props: {
  /** The track; asked for again whenever `trackKey` changes. */
  track: () => MediaStreamTrack | null;
  /** Null: nothing to show now. */
  trackKey: string | null;
  mirrored?: boolean;
  /** Width through height of the place it is shown in. */
  shape?: number;
  onPicture: (isThere: boolean) => void;
}): JSX.Element {
  const [natural, setNatural] = createSignal(16 / 9);
  let video!: HTMLVideoElement;

  createEffect(() => {
    const track = props.trackKey === null ? null : props.track();
    if (track === null) {
      video.srcObject = null;
      props.onPicture(false);
      return;
    }
    video.srcObject = new MediaStream([track]);
    // Refused only while the page has had no click, and then the next attachment plays.
    video.play().catch(() => {});
    onCleanup(() => props.onPicture(false));
  });
  onCleanup(() => {
    video.srcObject = null;
  });

  const readSize = (): void => {
    if (video.videoHeight > 0) setNatural(video.videoWidth / video.videoHeight);
  };

  return (
    <video
      ref={(element) => {
        video = element;
        video.muted = true;
      }}
      autoplay
      playsinline
      // A phone held upright is not cut down to a strip in a broad tile.
      classList={{ mirror: props.mirrored === true, whole: natural() < 1 && (props.shape ?? 1) > 1 }}
      onResize={readSize}
      onLoadedData={() => {
        readSize();
        props.onPicture(true);
      }}
    />
  );
}
