// Functions for the page (Person.evaluate): what its connections receive, as browsers count it.

/** Begins to look at all that comes in, every so many milliseconds. */
export const startWatch = (interval) => {
  const tracks = new Map();
  const sent = new Map();
  const watch = { tracks, sent, began: performance.now(), isDone: false };
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

  /** Cameras that the bridge says it does not send now. */
  const paused = () =>
    window.__meeting.state.participants.flatMap(({ sources }) => sources.filter((one) => !one.isForwarded).map((one) => one.name));

  const note = (key, source, entry, isPaused) => {
    let track = tracks.get(key);
    if (track === undefined) {
      track = { source, kind: entry.kind, first: entry, last: entry, heights: {}, gap: 0, longestGap: 0 };
      Object.assign(track, { longestFreeze: 0, pauses: 0, paused: 0, wasPaused: isPaused, movedAt: performance.now() });
      tracks.set(key, track);
      return;
    }
    const grown = (name) => (entry[name] ?? 0) - (track.last[name] ?? 0);
    if (entry.kind === "video") {
      // Browsers count a freeze when it is over, and one that the bridge meant like any other.
      track.wasPaused ||= isPaused;
      if (grown("framesDecoded") > 0) {
        const frozen = grown("totalFreezesDuration");
        if (!track.wasPaused) track.longestFreeze = Math.max(track.longestFreeze, frozen);
        else if (frozen > 0) {
          track.pauses += 1;
          track.paused += frozen;
        }
        track.wasPaused = isPaused;
        track.movedAt = performance.now();
      }
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
      const unsent = new Set(paused());
      for (const entry of (await connection.getStats()).values()) {
        if (entry.type === "outbound-rtp") {
          const key = `${index}/${entry.mid}/${entry.ssrc}`;
          sent.set(key, { first: sent.get(key)?.first ?? entry, last: { ...entry } });
        }
        if (entry.type !== "inbound-rtp") continue;
        const source = names.get(entry.mid) ?? null;
        note(`${index}/${entry.mid}/${entry.ssrc}`, source, { ...entry }, unsent.has(source));
      }
    }
    if (!watch.isDone) setTimeout(() => void look(), interval);
  };
  return look();
};

/** What came in since, and what was sent. */
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
          pauses: track.pauses,
          pausedSeconds: track.paused,
          stillSeconds: (performance.now() - track.movedAt) / 1000,
          isPausedAtEnd: track.wasPaused,
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
  const sent = [...watch.sent.values()].map((track) => ({
    kind: track.last.kind,
    lines: track.last.frameHeight ?? null,
    packetsSent: grown(track, "packetsSent"),
    retransmittedPacketsSent: grown(track, "retransmittedPacketsSent"),
    nackCount: grown(track, "nackCount"),
    ...(track.last.kind === "video"
      ? {
          framesEncoded: grown(track, "framesEncoded"),
          keyFramesEncoded: grown(track, "keyFramesEncoded"),
          pliCount: grown(track, "pliCount"),
          targetBitrate: track.last.targetBitrate ?? null,
          qualityLimitationReason: track.last.qualityLimitationReason ?? null,
        }
      : {}),
  }));
  return { seconds, tracks, sent: sent.filter((one) => one.packetsSent > 0) };
};

/** The meeting as the page knows it: names by endpoint. */
export const people = () => window.__meeting.state.participants.map(({ id, name }) => ({ id, name }));

/** Frames decoded and sound of each other participant so far. */
export const progress = () => window.__meeting.stats();
