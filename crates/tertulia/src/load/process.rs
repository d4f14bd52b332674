//! What processes of this machine cost, as Linux tells (`/proc`).

use std::fs;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Some processes that are counted together.
#[derive(Clone, Debug)]
pub(super) struct Processes {
    pids: Vec<u32>,
}

/// What they have used and hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Of all threads, in user and kernel mode.
    pub(super) cpu: Duration,
    /// Bytes of memory; shared pages in parts where the system tells.
    pub(super) memory: u64,
    pub(super) threads: u64,
    pub(super) files: u64,
}

impl Processes {
    /// These; the first that does not exist, or may not be looked at, is the error.
    pub(super) fn of(pids: &[u32]) -> Result<Processes, u32> {
        match pids.iter().find(|pid| usage(&pid.to_string()).is_none()) {
            Some(missing) => Err(*missing),
            None => Ok(Processes {
                pids: pids.to_vec(),
            }),
        }
    }

    /// Who listens on a TCP port of this machine; None if nobody does, or we may not know.
    pub(super) fn listening_on(port: u16) -> Option<Processes> {
        let sockets: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|table| fs::read_to_string(table).ok())
            .flat_map(|table| listeners(&table, port))
            .collect();
        let is_pid = |name: &str| name.parse::<u32>().ok();
        let entries = fs::read_dir("/proc").ok()?.flatten();
        let pids = entries.filter_map(|entry| is_pid(entry.file_name().to_str()?));
        let mut owners: Vec<u32> = pids.filter(|pid| has_socket(*pid, &sockets)).collect();
        owners.sort_unstable();
        owners.truncate(1);
        (!owners.is_empty()).then_some(Processes { pids: owners })
    }

    pub(super) fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// What they are called, with their numbers.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |pid: &u32| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{} {pid}", name.trim_end())
        };
        self.pids.iter().map(name).collect()
    }

    /// What all of them have used and hold; those that ended are missing.
    pub(super) fn usage(&self) -> Usage {
        let usages = self.pids.iter().filter_map(|pid| usage(&pid.to_string()));
        usages.fold(Usage::default(), Usage::add)
    }

    /// Bytes of memory, roughly and cheaply.
    pub(super) fn memory_now(&self) -> u64 {
        let one = |pid: &u32| {
            let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
            let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
            Some(pages * rustix::param::page_size() as u64)
        };
        self.pids.iter().filter_map(one).sum()
    }
}

/// What this process has used and holds.
pub(super) fn own() -> Usage {
    usage("self").unwrap_or_default()
}

impl Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage {
            cpu: self.cpu + other.cpu,
            memory: self.memory + other.memory,
            threads: self.threads + other.threads,
            files: self.files + other.files,
        }
    }
}

impl Sub for Usage {
    type Output = Usage;

    /// What was used since; nothing of what is held now is less than nothing.
    fn sub(self, earlier: Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            memory: self.memory.saturating_sub(earlier.memory),
            threads: self.threads.saturating_sub(earlier.threads),
            files: self.files.saturating_sub(earlier.files),
        }
    }
}

fn usage(pid: &str) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (ticks, threads) = ticks_and_threads(&stat)?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let memory = rollup.ok().and_then(|rollup| kilobytes(&rollup, "Pss:"));
    let memory = memory.or_else(|| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        kilobytes(&status, "VmRSS:")
    });
    let files = fs::read_dir(format!("/proc/{pid}/fd"));
    Some(Usage {
        cpu: Duration::from_secs_f64(ticks as f64 / per_second as f64),
        memory: memory.unwrap_or(0) * 1024,
        threads,
        files: files.map_or(0, |files| files.count() as u64),
    })
}

/// Fields 14, 15 and 20 of proc_pid_stat(5). The second is a name that may hold anything.
fn ticks_and_threads(stat: &str) -> Option<(u64, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some((field(14)? + field(15)?, field(20)?))
}

fn kilobytes(table: &str, name: &str) -> Option<u64> {
    let line = table.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The sockets that listen on a port, by their inodes (proc_net_tcp(5)).
fn listeners(table: &str, port: u16) -> Vec<u64> {
    let suffix = format!(":{port:04X}");
    let listener = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_here = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == LISTEN;
        is_here.then(|| fields.get(9)?.parse().ok()).flatten()
    };
    table.lines().skip(1).filter_map(listener).collect()
}

fn has_socket(pid: u32, sockets: &[u64]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files.flatten().any(|file| {
        let target = fs::read_link(file.path()).unwrap_or_default();
        let target = target.to_string_lossy();
        let inode = target
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'));
        inode.is_some_and(|inode| sockets.iter().any(|socket| socket.to_string() == inode))
    })
}

const LISTEN: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces() {
        let stat = "77 (a) b (c) S 1 77 77 0 -1 4194560 1 0 0 0 130 20 0 0 20 0 9 0 1 2 3";
        assert_eq!(ticks_and_threads(stat), Some((150, 9)));
        assert_eq!(ticks_and_threads("77 (x) S 1"), None);
        assert_eq!(ticks_and_threads(""), None);
    }

    #[test]
    fn listeners_of_a_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
                     1: 0100007F:1F90 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
                     2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
        assert_eq!(listeners(table, 8080), [4711]);
        assert_eq!(listeners(table, 80), [0_u64; 0]);
    }

    #[test]
    fn what_this_process_costs() {
        let before = own();
        assert!(before.memory > 0 && before.threads > 0 && before.files > 0);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = Processes::listening_on(port).unwrap();
        assert_eq!(found.pids(), [std::process::id()]);
        let [name] = &found.names()[..] else {
            panic!("{found:?}")
        };
        assert!(
            name.ends_with(&format!(" {}", std::process::id())),
            "{name}"
        );
        assert!(found.memory_now() > 0);
        assert!(found.usage().cpu >= before.cpu);
        drop(socket);
        assert!(Processes::of(&[u32::MAX]).is_err());
    }
}
