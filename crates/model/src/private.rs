use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

/// How logs show private values: unset means hashed under key 0 (tests).
static DISPLAY: OnceLock<Display> = OnceLock::new();

enum Display {
    Hashed { key: u64 },
    Clear,
}

/// Something that must not stand in a log as it is: a JID, a name, an address, chat text.
///
/// `Debug` and `Display` print a short keyed hash, so that a log can be followed but not
/// reversed. With `log.private = true` they print the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Private<T>(pub T);

impl Private<()> {
    /// To be called once at start: shows private values in clear (`key` = None) or hashed.
    pub fn configure(key: Option<u64>) {
        let display = key.map_or(Display::Clear, |key| Display::Hashed { key });
        // A second call (tests in one process) keeps the first choice.
        let _ = DISPLAY.set(display);
    }
}

impl<T: fmt::Display> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match DISPLAY.get() {
            Some(Display::Clear) => {
                // Control characters would let a stranger forge log lines.
                let text = self.0.to_string();
                return write!(f, "{}", text.escape_default());
            }
            Some(Display::Hashed { key }) => *key,
            None => 0,
        };
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.0.to_string().hash(&mut hasher);
        write!(f, "~{:08x}", hasher.finish() as u32)
    }
}

impl<T: fmt::Display> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_never_holds_the_value() {
        let line = format!(
            "{} {:?}",
            Private("juliet@example"),
            Private("juliet@example")
        );
        assert!(!line.contains("juliet"));
        let (a, b) = line.split_once(' ').unwrap();
        assert_eq!(a, b, "the same value can be followed through a log");
    }
}
