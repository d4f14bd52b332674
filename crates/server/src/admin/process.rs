//! What the operating system says of this process. What it does not say is 0.

use std::time::Duration;

use crate::clock;

/// One look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Process {
    /// Processor time of all threads so far.
    pub(crate) busy: Duration,
    pub(crate) resident_bytes: u64,
    /// Of the machine.
    pub(crate) memory_bytes: u64,
    pub(crate) threads: u64,
    pub(crate) open_files: u64,
}

impl Process {
    pub(crate) fn now() -> Process {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let files = std::fs::read_dir("/proc/self/fd");
        Process {
            busy: clock::process_time(),
            resident_bytes: number(&status, "VmRSS:") * 1024,
            memory_bytes: number(&memory, "MemTotal:") * 1024,
            threads: number(&status, "Threads:"),
            // Without the one that is read with.
            open_files: files.map_or(0, |files| files.count().saturating_sub(1) as u64),
        }
    }
}

/// The number behind a name at the beginning of a line.
fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name() {
        let text = "Name:\tx\nVmRSS:\t   5120 kB\nThreads:\t7\n";
        assert_eq!(number(text, "VmRSS:"), 5_120);
        assert_eq!(number(text, "Threads:"), 7);
        assert_eq!(number(text, "Missing:"), 0);
        assert_eq!(number(text, "Name:"), 0);
    }
}
