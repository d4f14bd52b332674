/** One tile: a person, or somebody's screen. Where it lies is the layer's business (`Tiles.tsx`). */

import { type Accessor, createEffect, createMemo, createSignal, type JSX, Show } from "solid-js";
import type { Participant, Self, SourceKind } from "../meeting/state";
import { t } from "./language";
import type { Placement, TileKey } from "./layout";
import { lasting } from "./observe";
import { Avatar, Icon, Words } from "./parts";
import { Picture } from "./Picture";

/** A picture that the bridge does not send although we show its tile, for so long: the line is too weak. */
const WEAK_AFTER_MS = 3_000;
/** A picture that stands still is taken for the person; after this it gives way to the avatar. */
const STALE_AFTER_MS = 15_000;

/** What a tile draws of a person, whoever it is. */
interface Face {
  readonly name: string;
  readonly muted: boolean;
  readonly trackKey: string | null;
  /** The camera is on, as far as its owner says. */
  readonly camera: boolean;
  readonly forwarded: boolean;
  readonly interrupted: boolean;
}

export function faceOf(participant: Participant): Face {
  const source = (kind: SourceKind) => participant.sources.find((s) => s.kind === kind);
  const camera = source("camera");
  return {
    name: participant.name === "" ? t().guest : participant.name,
    muted: source("microphone")?.isMuted ?? true,
    trackKey: camera?.trackKey ?? null,
    camera: camera !== undefined && !camera.isMuted,
    forwarded: camera?.isForwarded ?? true,
    interrupted: participant.link === "interrupted",
  };
}

export function ownFace(self: Self): Face {
  const camera = self.camera;
  return {
    name: self.name === "" ? t().guest : self.name,
    muted: self.microphone.kind !== "on",
    trackKey: camera.kind === "on" ? camera.trackKey : null,
    camera: camera.kind === "on",
    forwarded: true,
    interrupted: false,
  };
}

interface Common {
  readonly tileKey: TileKey;
  readonly place: Accessor<Placement | undefined>;
  /** People came or went, or the view changed: only then tiles glide. */
  readonly glides: () => boolean;
  readonly tabbable: boolean;
  readonly onFocus: () => void;
}

/** Puts an element where it belongs; only `transform` and `opacity` move. */
function placed(tile: () => HTMLElement, place: Accessor<Placement | undefined>, glides: () => boolean): void {
  createEffect<Placement | undefined>((before) => {
    const now = place();
    const element = tile();
    element.hidden = now === undefined;
    if (now === undefined) return undefined;
    const there = `translate(${now.x}px, ${now.y}px)`;
    element.style.width = `${now.w}px`;
    element.style.height = `${now.h}px`;
    element.style.transform = there;
    if (glides() && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
      if (before === undefined) element.animate({ opacity: [0, 1] }, 200);
      else if (before.x !== now.x || before.y !== now.y || before.w !== now.w || before.h !== now.h)
        element.animate(
          {
            transform: [
              `translate(${before.x}px, ${before.y}px) scale(${before.w / now.w}, ${before.h / now.h})`,
              there,
            ],
          },
          { duration: 320, easing: "cubic-bezier(.2, .8, .2, 1)" },
        );
    }
    return now;
  });
}

const isSmall = (place: Placement | undefined): boolean => place !== undefined && (place.w < 190 || place.h < 118);

export function PersonTile(
  props: Common & {
    face: Accessor<Face>;
    /** Null for the user, who has no name on the wire before joining. */
    participant: string | null;
    camera: () => MediaStreamTrack | null;
    own: boolean;
    speaking: boolean;
    /** Place in the queue of raised hands. */
    hand: number | null;
    /** Opens what can be done with this person; absent where nothing can. */
    onMenu: ((opener: HTMLElement) => void) | undefined;
  },
): JSX.Element {
  let tile!: HTMLElement;
  const [hasPicture, setHasPicture] = createSignal(false);
  const isShown = createMemo(() => props.place() !== undefined);
  const isStarved = createMemo(() => isShown() && props.face().camera && !props.face().forwarded);
  const weak = lasting(isStarved, WEAK_AFTER_MS);
  const stale = lasting(() => props.face().interrupted, STALE_AFTER_MS);
  const pictureIsUp = createMemo(() => props.face().camera && hasPicture() && !weak() && !stale());
  const trackKey = createMemo(() => (isShown() && props.face().camera ? props.face().trackKey : null));
  const speaking = createMemo(() => props.speaking && !props.face().muted);
  const shape = createMemo(() => {
    const place = props.place();
    return place === undefined ? 1 : place.w / place.h;
  });
  const label = createMemo(() => {
    const { name, muted, camera, interrupted } = props.face();
    const { hand } = props;
    return t().tile.label({ name: props.own ? t().tile.own : name, muted, camera, interrupted, weak: weak(), hand });
  });

  placed(() => tile, props.place, props.glides);

  return (
    <article
      ref={tile}
      class="tile"
      classList={{
        small: isSmall(props.place()),
        floating: props.place()?.floating === true,
        speaking: speaking(),
        weak: weak(),
        interrupted: props.face().interrupted,
        "has-picture": pictureIsUp(),
      }}
      aria-label={label()}
      tabindex={props.tabbable ? 0 : -1}
      onFocus={props.onFocus}
      onContextMenu={(event) => {
        if (props.onMenu === undefined) return;
        event.preventDefault();
        props.onMenu(tile);
      }}
      data-key={props.tileKey}
      data-hand={props.hand ?? undefined}
      data-participant={props.participant ?? "self"}
      data-self={props.own}
      data-muted={props.face().muted}
      data-camera={pictureIsUp() ? "on" : props.face().camera ? "waiting" : "off"}
      data-connection={props.face().interrupted ? "interrupted" : weak() ? "weak" : "active"}
      data-speaking={speaking()}
    >
      <Picture
        track={props.camera}
        trackKey={trackKey()}
        mirrored={props.own}
        shape={shape()}
        onPicture={setHasPicture}
      />
      <Show when={!pictureIsUp()}>
        <div class="tile-off">
          <Avatar name={props.face().name} large />
        </div>
      </Show>
      <Show when={props.face().interrupted}>
        <span class="gone" aria-hidden="true">
          <span class="spin" />
          <span>{t().tile.reconnecting}</span>
        </span>
      </Show>
      <Show when={weak() && !props.face().interrupted}>
        <span class="line" aria-hidden="true">
          <Icon name="signal" />
          <Icon name="signal-low" />
          <span>{t().tile.weak}</span>
        </span>
      </Show>
      <span class="tag" aria-hidden="true" title={props.face().name}>
        <span class="wave">
          <span />
          <span />
          <span />
        </span>
        <Show when={props.face().muted}>
          <Icon name="mic-off" />
        </Show>
        <bdi>{props.own ? t().you : props.face().name}</bdi>
      </span>
      <Show when={props.hand !== null}>
        <span class="hand-tag" aria-hidden="true">
          <Icon name="hand" />
          {props.hand}
        </span>
      </Show>
      <Show when={props.onMenu}>
        {(open) => (
          <button
            type="button"
            class="tile-menu"
            tabindex={props.tabbable ? 0 : -1}
            aria-label={t().people.actions(props.face().name)}
            aria-haspopup="menu"
            data-action="person-menu"
            // A click in Safari gives no focus, and losing it would close what the click opens.
            onMouseDown={(event) => event.preventDefault()}
            onClick={(event) => open()(event.currentTarget)}
          >
            <Icon name="ellipsis" />
          </button>
        )}
      </Show>
    </article>
  );
}

export function ScreenTile(
  props: Common & {
    owner: string;
    name: string;
    trackKey: string | null;
    track: () => MediaStreamTrack | null;
  },
): JSX.Element {
  let tile!: HTMLElement;
  const [hasPicture, setHasPicture] = createSignal(false);

  placed(() => tile, props.place, props.glides);

  return (
    <article
      ref={tile}
      class="tile screen"
      classList={{ "has-picture": hasPicture() }}
      aria-label={t().tile.presentsLabel(props.name)}
      tabindex={props.tabbable ? 0 : -1}
      onFocus={props.onFocus}
      data-key={props.tileKey}
      data-screen-of={props.owner}
      data-camera={hasPicture() ? "on" : "waiting"}
    >
      <div class="screen-bar" aria-hidden="true">
        <Icon name="screen-share" />
        <span>
          <Words text={t().tile.presents(props.name)} />
        </span>
      </div>
      <Picture
        track={props.track}
        trackKey={props.place() === undefined ? null : props.trackKey}
        onPicture={setHasPicture}
      />
      <Show when={!hasPicture()}>
        <div class="tile-off">
          <span class="spin" />
        </div>
      </Show>
    </article>
  );
}
