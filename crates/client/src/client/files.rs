//! Messages about shared files; the files themselves go elsewhere.
//!
//! Speaks: Jitsi's `<file-sharing/>` and its JSON messages.

use super::breakout::text;
use super::*;

impl Client {
    /// Tells everybody of a file: at least `fileId`, `fileName`, `fileSize`, `fileType` and
    /// `timestamp`.
    pub fn share_file(&mut self, now: Now, file: &Value) {
        let command = Element::builder("file-sharing", ns::JITSI_MEET)
            .with("type", "add")
            .append(file.to_string())
            .build();
        // Whoever shares is not told of it by the server.
        if self.component("file-sharing").is_some() {
            self.file_added(file);
        }
        self.command(now, "file-sharing", command);
    }

    /// Takes a file back.
    pub fn remove_file(&mut self, now: Now, id: &str) {
        let command = Element::builder("file-sharing", ns::JITSI_MEET)
            .with("type", "remove")
            .with("fileId", id)
            .build();
        self.meeting.files.remove(id);
        self.command(now, "file-sharing", command);
    }

    /// The files that are shared, by id.
    pub fn files(&self) -> &BTreeMap<String, Value> {
        &self.meeting.files
    }

    fn file_added(&mut self, file: &Value) {
        if let Some(id) = text(file, "fileId") {
            self.meeting.files.insert(id, file.clone());
        }
    }

    pub(super) fn handle_file(&mut self, value: &Value) {
        match value.get("event").and_then(Value::as_str) {
            Some("add") => {
                if let Some(file) = value.get("file") {
                    self.file_added(file);
                }
            }
            Some("remove") => {
                if let Some(id) = text(value, "fileId") {
                    self.meeting.files.remove(&id);
                }
            }
            Some("list") => {
                let files = value.get("files").and_then(Value::as_object);
                let files = files.into_iter().flatten();
                self.meeting.files = files.map(|(id, file)| (id.clone(), file.clone())).collect();
            }
            _ => tracing::debug!("an unknown event of file sharing"),
        }
    }
}
