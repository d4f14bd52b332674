//! Since when the meeting lasts: clients show the time.
//!
//! Speaks: muc#roominfo_created_timestamp, milliseconds since 1970. It counts from the second
//! occupant, which is the first participant: the focus is always there.

use tertulia_model::Now;
use tertulia_stanza::disco::DiscoInfo;

use crate::journal::Journal;

#[derive(Default)]
pub(crate) struct ConferenceDuration {
    since_ms: Option<i64>,
}

impl ConferenceDuration {
    /// A meeting goes on after a crash of the server.
    pub(crate) fn restored(journal: &Journal, prefix: &str) -> ConferenceDuration {
        let kept = journal.get(&format!("{prefix}{KEY}"));
        ConferenceDuration {
            since_ms: kept.and_then(|text| text.parse().ok()),
        }
    }

    /// Somebody is in.
    pub(crate) fn begin(&mut self, now: Now, journal: &mut Journal, prefix: &str) {
        let since = self
            .since_ms
            .get_or_insert_with(|| now.wall.timestamp_millis());
        journal.set(&format!("{prefix}{KEY}"), &since.to_string());
    }

    pub(crate) fn describe(&self, info: &mut DiscoInfo) {
        let Some(since) = self.since_ms else { return };
        if let Some(form) = info.forms.pop() {
            info.forms
                .push(form.with("muc#roominfo_created_timestamp", &since.to_string()));
        }
    }
}

const KEY: &str = "since";
