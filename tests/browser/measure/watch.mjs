// Functions for the page (Person.evaluate): what its connections receive, as browsers count it.

/** Begins to look at all that comes in, every so many milliseconds. */
export const startWatch = (interval) => {
  const tracks = new Map();
  const watch = { tracks, began: performance.now(), isDone: false };
  window.__watch = watch;

  /** Stream of each m-line, as the description names it: `1a2b3c4d-v0`. */
  const sources = (connection) => {
    const found = new Map();
    for (const part of (connection.remoteDescription?.sdp ?? "").split("\r\nm=").slice(1)) {
      const mid = /\r\na=mid:(\S+)/.exec(part)?.[1];
      const stream = /\r\na=msid:(\S+)/.exec(part)?.[1] ?? /\r\na=ssrc:\d+ msid:(\S+)/.exec(part)?.[1];
      if (mid !== undefined) found.set(mid, stream ?? null);
    }
    return found;
  };

  const note = (key, source, entry) => {
    let track = tracks.get(key);
    if (track === undefined) {
      track = { source, kind: entry.kind, first: entry, last: entry, longestFreeze: 0, longestGap: 0, gap: 0, heights: {} };
      tracks.set(key, track);
      return;
    }
    const grown = (name) => (entry[name] ?? 0) - (track.last[name] ?? 0);
    if (entry.kind === "video") {
      track.longestFreeze = Math.max(track.longestFreeze, grown("totalFreezesDuration"));
      if (entry.frameHeight !== undefined) track.heights[entry.frameHeight] = (track.heights[entry.frameHeight] ?? 0) + 1;
    } else {
      // A gap may go on from one look to the next. Samples are at 48 kHz.
      const concealed = grown("concealedSamples") / 48;
      track.gap = grown("concealmentEvents") > 0 ? concealed : concealed > 0 ? track.gap + concealed : 0;
      track.longestGap = Math.max(track.longestGap, track.gap);
    }
    track.last = entry;
  };

  const look = async () => {
    for (const [index, connection] of window.__connections.entries()) {
      if (connection.connectionState === "closed") continue;
      const names = sources(connection);
      for (const entry of (await connection.getStats()).values()) {
        if (entry.type !== "inbound-rtp") continue;
        note(`${index}/${entry.mid}/${entry.ssrc}`, names.get(entry.mid) ?? null, { ...entry });
      }
    }
    if (!watch.isDone) setTimeout(() => void look(), interval);
  };
  return look();
};

/** What came in since. */
export const endWatch = () => {
  const watch = window.__watch;
  watch.isDone = true;
  const seconds = (performance.now() - watch.began) / 1000;
  const grown = (track, name) => {
    const now = track.last[name];
    return now === undefined ? null : now - (track.first[name] ?? 0);
  };
  const perPiece = (track, total, count) => {
    const pieces = grown(track, count);
    return pieces === null || pieces === 0 ? null : grown(track, total) / pieces;
  };
  const tracks = [...watch.tracks.values()].map((track) => ({
    source: track.source,
    kind: track.kind,
    packetsReceived: grown(track, "packetsReceived"),
    packetsLost: grown(track, "packetsLost"),
    bytesReceived: grown(track, "bytesReceived"),
    jitterBufferDelayMs: (perPiece(track, "jitterBufferDelay", "jitterBufferEmittedCount") ?? 0) * 1000,
    ...(track.kind === "video"
      ? {
          framesDecoded: grown(track, "framesDecoded"),
          framesDropped: grown(track, "framesDropped"),
          freezeCount: grown(track, "freezeCount"),
          totalFreezesDuration: grown(track, "totalFreezesDuration"),
          longestFreeze: track.longestFreeze,
          pliCount: grown(track, "pliCount"),
          nackCount: grown(track, "nackCount"),
          heights: track.heights,
        }
      : {
          concealedSamples: grown(track, "concealedSamples"),
          silentConcealedSamples: grown(track, "silentConcealedSamples"),
          concealmentEvents: grown(track, "concealmentEvents"),
          totalSamplesReceived: grown(track, "totalSamplesReceived"),
          longestGapMs: track.longestGap,
        }),
  }));
  return { seconds, tracks };
};

/** The meeting as the page knows it: names by endpoint. */
export const people = () => window.__meeting.state.participants.map(({ id, name }) => ({ id, name }));

/** Frames decoded and sound of each other participant so far. */
export const progress = () => window.__meeting.stats();
