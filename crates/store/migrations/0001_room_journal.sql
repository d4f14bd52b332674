-- What people decided about rooms: kept for a meeting's life and a while after it.

CREATE TABLE room (
    jid   TEXT NOT NULL PRIMARY KEY,
    -- Milliseconds since 1970; absent while the meeting lives.
    ended INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
    room  TEXT NOT NULL REFERENCES room (jid) ON DELETE CASCADE,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (room, key)
) STRICT, WITHOUT ROWID;
