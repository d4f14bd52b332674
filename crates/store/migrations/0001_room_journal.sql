-- What people decided about rooms: kept for a meeting's life and a while after it.

CREATE TABLE room (
    jid   TEXT NOT NULL PRIMARY KEY,
    -- Milliseconds since 1970; absent while the meeting lives.
    ended INTEGER,
    -- Of its entries, for the limits: counting them at each change would take longer with each.
    keys  INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
    room  TEXT NOT NULL REFERENCES room (jid) ON DELETE CASCADE,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (room, key)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER entry_added AFTER INSERT ON entry BEGIN
    UPDATE room
    SET keys = keys + 1, bytes = bytes + octet_length(new.key) + octet_length(new.value)
    WHERE jid = new.room;
END;

CREATE TRIGGER entry_changed AFTER UPDATE ON entry BEGIN
    UPDATE room
    SET bytes = bytes + octet_length(new.value) - octet_length(old.value)
    WHERE jid = new.room;
END;

CREATE TRIGGER entry_removed AFTER DELETE ON entry BEGIN
    UPDATE room
    SET keys = keys - 1, bytes = bytes - octet_length(old.key) - octet_length(old.value)
    WHERE jid = old.room;
END;
