//! The server in memory, on virtual time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tertulia_model::Now;
use tertulia_sim::node::{ConnectionId, Disk, Node, NodeConfig, NodeOutput};

use super::{Event, Server, Socket};

/// A node of the simulator. Time passes only while somebody waits.
pub struct Memory {
    config: Arc<NodeConfig>,
    node: Node,
    now: Now,
    next_socket: u64,
    crashes: u8,
}

impl Default for Memory {
    fn default() -> Memory {
        let media = "192.0.2.1:10000".parse().expect("a literal address");
        let config = Arc::new(NodeConfig::usual(media));
        let wall = chrono::DateTime::from_timestamp(1_790_000_000, 0).expect("a valid time");
        let now = Now {
            mono: Instant::now(),
            wall,
        };
        let node = Node::new(Arc::clone(&config), Disk::default(), [1; 32], now);
        Memory {
            config,
            node,
            now,
            next_socket: 1,
            crashes: 0,
        }
    }
}

impl Memory {
    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(output) = self.node.poll_output() {
            match output {
                NodeOutput::Frame { connection, text } => {
                    events.push(Event::Frame(Socket(connection.0), text));
                }
                NodeOutput::CloseSocket { connection, code } => {
                    events.push(Event::Closed(Socket(connection.0), code));
                }
                // Nobody in these scripts has media.
                NodeOutput::Transmit(_)
                | NodeOutput::ChannelText { .. }
                | NodeOutput::ChannelClose { .. }
                | NodeOutput::HttpReply { .. } => {}
            }
        }
        events
    }
}

impl Server for Memory {
    fn connect(&mut self, previd: Option<&str>) -> Socket {
        let socket = Socket(self.next_socket);
        self.next_socket += 1;
        let address = ([192, 0, 2, 100], 40_000).into();
        self.node
            .connect(self.now, ConnectionId(socket.0), address, "", previd);
        socket
    }

    fn send(&mut self, socket: Socket, frame: &str) {
        self.node.frame(self.now, ConnectionId(socket.0), frame);
    }

    fn close(&mut self, socket: Socket, code: Option<u16>) {
        self.node.closed(self.now, ConnectionId(socket.0), code);
    }

    fn wait(&mut self, at_most: Duration) -> (Duration, Vec<Event>) {
        let start = self.now.mono;
        let end = start + at_most;
        loop {
            let events = self.events();
            if !events.is_empty() {
                return (self.now.mono - start, events);
            }
            let next = self.node.next_timeout().filter(|next| *next <= end);
            let until = next.unwrap_or(end).max(self.now.mono);
            self.now = self.now.later(until - self.now.mono);
            if next.is_none() {
                return (at_most, Vec::new());
            }
            self.node.timeout(self.now);
        }
    }

    fn crash(&mut self) {
        self.crashes += 1;
        // Even the fastest crash takes a moment.
        self.now = self.now.later(Duration::from_secs(1));
        let start = |disk| {
            let config = Arc::clone(&self.config);
            Node::new(config, disk, [1 + self.crashes; 32], self.now)
        };
        let crashed = std::mem::replace(&mut self.node, start(Disk::default()));
        self.node = start(crashed.crash());
    }

    fn restart(&mut self) -> Vec<Event> {
        self.node.stop(self.now);
        let events = self.events();
        self.crash();
        events
    }

    fn end(&mut self) {
        self.node.end(self.now, "the evening is over");
    }

    fn remains(&self) -> String {
        let census = self.node.census();
        if census == Default::default() {
            String::new()
        } else {
            format!("{census:?}")
        }
    }
}
