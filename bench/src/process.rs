//! A server as a process: started on its core, its processor time and memory read from /proc.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

/// A running server; killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    /// Its files; gone with it.
    folder: PathBuf,
}

/// Processor time of each thread, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Cpu(BTreeMap<u32, u64>);

impl Process {
    /// Starts a command whose name is `program`, on the first core if it is to be `pinned`.
    pub(crate) fn start(
        program: &Path,
        folder: PathBuf,
        is_pinned: bool,
        set_up: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Process> {
        let mut command = if is_pinned {
            let mut command = Command::new("taskset");
            command.args(["-c", "0"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        set_up(&mut command);
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| program.display().to_string())?;
        Ok(Process { child, folder })
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time so far, user and system. Finer than the ticks of /proc/PID/stat.
    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let folder = entry?.path();
            // A thread may end while we look.
            let Ok(text) = fs::read_to_string(folder.join("schedstat")) else {
                continue;
            };
            let spent = text.split(' ').next().and_then(|text| text.parse().ok());
            let id = folder.file_name().and_then(|name| name.to_str());
            let id = id.and_then(|id| id.parse().ok());
            threads.insert(id.context("thread")?, spent.context("schedstat")?);
        }
        Ok(Cpu(threads))
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.pid()))?;
        let pages = text
            .split(' ')
            .nth(1)
            .and_then(|text| text.parse::<u64>().ok());
        Ok(pages.context("statm")? * rustix::param::page_size() as u64)
    }
}

impl Cpu {
    /// What was spent since an earlier reading. Threads that have ended meanwhile are left out.
    pub(crate) fn since(&self, earlier: &Cpu) -> Duration {
        let spent = self.0.iter().map(|(thread, now)| {
            let before = earlier.0.get(thread).copied().unwrap_or(0);
            now.saturating_sub(before)
        });
        Duration::from_nanos(spent.sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A new folder for a server's files.
pub(crate) fn new_folder(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("tertulia-bench-{name}-{}", std::process::id()));
    // Left by an earlier process of the same number.
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    Ok(path)
}
