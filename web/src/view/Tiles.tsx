/**
 * The layer of tiles. All of them are its children and stay in the page through every change of view; an arrangement
 * says where each lies, and which have no place now.
 */

import { type Accessor, createEffect, createMemo, createSignal, For, type JSX, onCleanup, onMount, Show } from "solid-js";
import type { Meeting, VisibleTile } from "../meeting/meeting";
import type { MeetingState, Participant, Source } from "../meeting/state";
import { handQueue } from "./hands";
import { t } from "./language";
import { type Arrangement, arrange, neighbour, SELF, screenOf, type TileKey } from "./layout";
import { createSpeakers } from "./levels";
import { byKey, lasting } from "./observe";
import { Icon, Words } from "./parts";
import { faceOf, ownFace, PersonTile, ScreenTile } from "./Tile";

interface SharedScreen {
  readonly key: TileKey;
  readonly owner: Participant;
  readonly source: Source;
}

const LINE_LOST_AFTER_MS = 2_000;

export function Tiles(props: {
  meeting: Meeting;
  state: Accessor<MeetingState>;
  /** For moderators. */
  onMenu: (participant: string, opener: HTMLElement) => void;
}): JSX.Element {
  let layer!: HTMLDivElement;
  const [size, setSize] = createSignal({ width: 0, height: 0 });
  const [page, setPage] = createSignal(0);
  const [focused, setFocused] = createSignal<TileKey>("");

  onMount(() => {
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
    });
    observer.observe(layer);
    onCleanup(() => observer.disconnect());
  });

  const people = byKey(
    () => props.state().participants.filter((participant) => participant.isOnGrid),
    (participant) => participant.id,
  );
  const screens = byKey(
    (): readonly SharedScreen[] =>
      props
        .state()
        .participants.filter((owner) => owner.isOnGrid)
        .flatMap((owner) =>
          owner.sources
            .filter((source) => source.kind === "screen" && !source.isMuted)
            .map((source) => ({ key: screenOf(owner.id), owner, source })),
        ),
    (screen) => screen.key,
  );

  /** The screen shared last is shown, until it ends. */
  const shownScreen = createMemo<{ known: readonly TileKey[]; key: TileKey | null }>(
    (last) => {
      const keys = screens.keys();
      const fresh = keys.find((key) => !last.known.includes(key));
      const key = fresh ?? (last.key !== null && keys.includes(last.key) ? last.key : (keys.at(-1) ?? null));
      return { known: keys, key };
    },
    { known: [], key: null },
  );

  const layout = createMemo<{ arrangement: Arrangement; signature: string; glides: boolean }>(
    (last) => {
      const { width, height } = size();
      const arrangement = arrange({ width, height, others: people.keys(), screen: shownScreen().key, page: page() });
      const signature = `${arrangement.view} ${arrangement.page} ${[...arrangement.places.keys()].join(" ")}`;
      return { arrangement, signature, glides: last.signature !== "" && signature !== last.signature };
    },
    { arrangement: arrange({ width: 0, height: 0, others: [], screen: null, page: 0 }), signature: "", glides: false },
  );
  const arrangement = (): Arrangement => layout().arrangement;
  const glides = (): boolean => layout().glides;
  const place = (key: TileKey) => createMemo(() => arrangement().places.get(key));

  const tabStop = createMemo((): TileKey => {
    const places = arrangement().places;
    return places.has(focused()) ? focused() : (places.keys().next().value ?? SELF);
  });

  const hands = createMemo(() => handQueue(props.state()));

  /** Without the line pictures stand still sooner or later; a short break is not worth a change of colour. */
  const lineIsLost = lasting(() => props.state().connection.kind === "reconnecting", LINE_LOST_AFTER_MS);

  const shownPeople = createMemo(() => ["self", ...people.keys().filter((id) => arrangement().places.has(id))]);
  const speaking = createSpeakers(props.meeting, shownPeople);

  // What is on the page, and how large, so that nothing else is sent to us.
  createEffect(() => {
    const ratio = window.devicePixelRatio;
    const places = arrangement().places;
    const visible: VisibleTile[] = [];
    for (const participant of props.state().participants)
      for (const source of participant.sources) {
        if (source.isMuted || source.kind === "microphone") continue;
        const spot = places.get(source.kind === "screen" ? screenOf(participant.id) : participant.id);
        if (spot === undefined) continue;
        visible.push({ participant: participant.id, source: source.name, height: Math.round(spot.h * ratio) });
      }
    props.meeting.setVisibleTiles(visible);
  });
  createEffect(() => {
    const key = shownScreen().key;
    const screen = key === null ? undefined : screens.item(key)();
    props.meeting.setOnStage(screen === undefined ? [] : [screen.source.name]);
  });

  const go = (key: TileKey): void => {
    setFocused(key);
    layer.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
  };
  const turn = (by: number): void => {
    setPage(Math.min(Math.max(arrangement().page + by, 0), arrangement().pages - 1));
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const arrows = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" } as const;
    if (event.key in arrows) {
      const next = neighbour(arrangement().places, tabStop(), arrows[event.key as keyof typeof arrows]);
      if (next !== null) go(next);
    } else if (event.key === "PageUp") turn(-1);
    else if (event.key === "PageDown") turn(1);
    else return;
    event.preventDefault();
  };

  const common = (key: TileKey) => ({ tileKey: key, place: place(key), glides, onFocus: () => setFocused(key) });

  return (
    <>
      <div
        ref={layer}
        class="tiles"
        classList={{ "alone-here": people.keys().length === 0, "line-lost": lineIsLost() }}
        role="group"
        aria-label={t().tile.group}
        onKeyDown={onKeyDown}
        data-view={arrangement().view}
      >
        <For each={screens.keys()}>
          {(key) => {
            const screen = screens.item(key);
            return (
              <Show when={screen()}>
                {(shown) => (
                  <ScreenTile
                    {...common(key)}
                    tabbable={tabStop() === key}
                    owner={shown().owner.id}
                    name={faceOf(shown().owner).name}
                    trackKey={shown().source.trackKey}
                    track={() => props.meeting.track(shown().owner.id, shown().source.name)}
                  />
                )}
              </Show>
            );
          }}
        </For>
        <For each={people.keys()}>
          {(id) => {
            const person = people.item(id);
            const camera = (): MediaStreamTrack | null => {
              const source = person()?.sources.find((s) => s.kind === "camera");
              return source === undefined ? null : props.meeting.track(id, source.name);
            };
            return (
              <Show when={person()}>
                {(shown) => (
                  <PersonTile
                    {...common(id)}
                    tabbable={tabStop() === id}
                    face={createMemo(() => faceOf(shown()))}
                    participant={id}
                    camera={camera}
                    own={false}
                    speaking={speaking().has(id)}
                    hand={hands().get(id) ?? null}
                    onMenu={props.state().self.isModerator ? (opener) => props.onMenu(id, opener) : undefined}
                  />
                )}
              </Show>
            );
          }}
        </For>
        <PersonTile
          {...common(SELF)}
          tabbable={tabStop() === SELF}
          face={createMemo(() => ownFace(props.state().self))}
          participant={props.state().self.id}
          camera={() => props.meeting.track("self", "camera")}
          own
          speaking={speaking().has("self")}
          hand={hands().get("self") ?? null}
          onMenu={undefined}
        />
      </div>
      <Show when={arrangement().pages > 1}>
        <div class="pager">
          <button
            type="button"
            class="icon-btn"
            aria-label={t().tile.previousPage}
            aria-disabled={arrangement().page === 0}
            onClick={() => turn(-1)}
          >
            <Icon name="chevron-left" />
          </button>
          <span aria-hidden="true">
            {arrangement().page + 1} / {arrangement().pages}
          </span>
          <span class="vh" role="status">
            {t().tile.page({ page: arrangement().page + 1, pages: arrangement().pages })}
          </span>
          <button
            type="button"
            class="icon-btn"
            aria-label={t().tile.nextPage}
            aria-disabled={arrangement().page === arrangement().pages - 1}
            onClick={() => turn(1)}
          >
            <Icon name="chevron-right" />
          </button>
        </div>
      </Show>
      <Show when={arrangement().left > 0}>
        <p
          class="strip-more"
          ref={(element) => createEffect(() => (element.style.width = `${arrangement().strip}px`))}
        >
          <span>
            <Words text={t().tile.more(arrangement().left)} />
          </span>
        </p>
      </Show>
    </>
  );
}
