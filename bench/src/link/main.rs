//! An access network in a program, for kernels without `netem`: two TUN devices, and between them
//! the delay, loss and bottleneck of one of `tertulia load`'s networks, and a NAT.
//!
//! Usage: `tertulia-link NETWORK OUTSIDE INSIDE` makes both devices, says `ready`, and carries IP
//! packets between them until its standard input ends. Whoever started it moves INSIDE into a
//! network namespace and gives both their addresses. Lines on standard input: `network NAME`
//! changes the network, `rebind` gives each UDP flow another port outside. At the end it prints
//! as JSON what it carried.
//!
//! `tertulia-link --netem NETWORK` prints what `tc qdisc add … netem` needs for the same.

mod nat;
mod network;

use std::io::{BufRead as _, stdin};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use str0m_netem::{Input, Netem, Output};
use tappers::{Interface, Tun};

use crate::nat::Nat;
use crate::network::Network;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--netem", network] => {
            println!("{}", Network::named(network)?.netem_arguments());
            Ok(())
        }
        [network, outside, inside] => carry(Network::named(network)?, outside, inside),
        _ => bail!("usage: tertulia-link NETWORK OUTSIDE INSIDE | tertulia-link --netem NETWORK"),
    }
}

/// What happens to the link.
enum Event {
    /// A packet leaves the namespace.
    Up(Vec<u8>),
    /// A packet is for the namespace.
    Down(Vec<u8>),
    Command(String),
    /// Nobody needs the link any more.
    End,
}

fn carry(network: Network, outside: &str, inside: &str) -> anyhow::Result<()> {
    let outside = device(outside)?;
    let inside = device(inside)?;
    let (sender, events) = mpsc::sync_channel(EVENTS);
    read_packets(Arc::clone(&inside), sender.clone(), Event::Up);
    read_packets(Arc::clone(&outside), sender.clone(), Event::Down);
    read_commands(sender);
    println!("ready");

    let mut nat = Nat::default();
    let mut up = Direction::new(network, 1);
    let mut down = Direction::new(network, 2);
    loop {
        let wait = up.wait().min(down.wait());
        match events.recv_timeout(wait) {
            Ok(Event::Up(packet)) => up.take(packet),
            Ok(Event::Down(mut packet)) => {
                if nat.enter(&mut packet) {
                    down.take(packet);
                } else {
                    down.lost += 1;
                }
            }
            Ok(Event::Command(line)) => match line.split_once(' ') {
                Some(("network", name)) => {
                    let network = Network::named(name)?;
                    up.change(network, 1);
                    down.change(network, 2);
                }
                _ if line == "rebind" => nat.rebind(),
                _ => bail!("no such command: {line}"),
            },
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        // A device that is down or full loses the packet, as a network would.
        up.deliver(|packet| {
            nat.leave(packet);
            outside.send(packet).is_ok()
        });
        down.deliver(|packet| inside.send(packet).is_ok());
    }
    println!("{{\"up\":{},\"down\":{}}}", up.report(), down.report());
    Ok(())
}

fn device(name: &str) -> anyhow::Result<Arc<Tun>> {
    let interface = Interface::new(name).with_context(|| format!("the name {name}"))?;
    let tun = Tun::new_named(interface).with_context(|| format!("a TUN device {name}"))?;
    Ok(Arc::new(tun))
}

fn read_packets(device: Arc<Tun>, events: SyncSender<Event>, event: fn(Vec<u8>) -> Event) {
    thread::spawn(move || {
        let mut buffer = vec![0; LONGEST_PACKET];
        loop {
            match device.recv(&mut buffer) {
                Ok(length) => {
                    let packet = buffer.get(..length).unwrap_or_default().to_vec();
                    if events.send(event(packet)).is_err() {
                        return;
                    }
                }
                // Not up yet, or in the middle of an address change.
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    });
}

fn read_commands(events: SyncSender<Event>) {
    thread::spawn(move || {
        for line in stdin().lock().lines() {
            let Ok(line) = line else { break };
            if events.send(Event::Command(line)).is_err() {
                return;
            }
        }
        // The link may be gone already.
        let _ = events.send(Event::End);
    });
}

/// One way through the access network.
struct Direction {
    emulator: Netem<Vec<u8>>,
    taken: u64,
    delivered: u64,
    /// Refused by the NAT.
    lost: u64,
    bytes: u64,
}

impl Direction {
    fn new(network: Network, seed: u64) -> Direction {
        Direction {
            emulator: Netem::new(network.config().seed(seed)),
            taken: 0,
            delivered: 0,
            lost: 0,
            bytes: 0,
        }
    }

    fn change(&mut self, network: Network, seed: u64) {
        self.emulator.set_config(network.config().seed(seed));
    }

    fn take(&mut self, packet: Vec<u8>) {
        self.taken += 1;
        self.emulator
            .handle_input(Input::Packet(Instant::now(), packet));
    }

    /// How long nothing arrives by itself.
    fn wait(&self) -> Duration {
        if self.emulator.is_empty() {
            return IDLE;
        }
        let at = self.emulator.poll_timeout();
        at.saturating_duration_since(Instant::now()).min(IDLE)
    }

    /// Gives what is through to `deliver`, which says whether it could be delivered.
    fn deliver(&mut self, mut deliver: impl FnMut(&mut [u8]) -> bool) {
        self.emulator.handle_input(Input::Timeout(Instant::now()));
        while let Some(output) = self.emulator.poll_output() {
            let Output::Packet(mut packet) = output else {
                return;
            };
            if deliver(&mut packet) {
                self.delivered += 1;
                self.bytes += packet.len() as u64;
            }
        }
    }

    fn report(&self) -> String {
        let Direction {
            taken,
            delivered,
            bytes,
            lost,
            ..
        } = self;
        format!(
            "{{\"taken\":{taken},\"delivered\":{delivered},\"bytes\":{bytes},\"refused\":{lost}}}"
        )
    }
}

/// Packets that wait for this program; at 20,000 a second those of 50 ms.
const EVENTS: usize = 1024;
/// No device has a larger MTU.
const LONGEST_PACKET: usize = 65_536;
/// Between two looks at the clock while nothing travels.
const IDLE: Duration = Duration::from_secs(1);
