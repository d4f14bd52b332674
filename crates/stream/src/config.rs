use std::time::Duration;

/// Limits and times of a stream (DESIGN 10). The defaults live in crate `config`.
#[derive(Clone, Debug)]
pub struct Config {
    /// What a stranger may send until it is logged in and bound.
    pub limits_before_login: Limits,
    /// What a bound session may send.
    pub limits: Limits,
    /// Bytes before log-in. Who is faster is not read.
    pub byte_rate_before_login: Rate,
    /// Bytes of a session.
    pub byte_rate: Rate,
    /// Frames of a session.
    pub stanza_rate: Rate,
    /// From the socket to the bound session, not prolonged by traffic.
    pub login_timeout: Duration,
    /// How long a session lives without a socket.
    pub lease: Duration,
    /// Silence before the server asks whether the client is still there.
    pub liveness_ping_after: Duration,
    /// How long it waits for the answer before it gives the socket up.
    pub liveness_timeout: Duration,
    /// Unacknowledged stanzas of one session; one more ends it.
    pub queue_stanzas_max: usize,
    /// Bytes of them; one more ends it.
    pub queue_bytes_max: usize,
    /// Unacknowledged stanzas before an acknowledgement is asked for.
    pub ack_request_after: usize,
    /// Streams over HTTP requests.
    pub bosh: BoshConfig,
}

/// Times of BOSH (XEP-0124). How long a session lives without a request is the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoshConfig {
    /// How long a request is held at most before it is answered with nothing.
    pub wait: Duration,
    /// How long a client may be without an open request before its session counts as paused.
    pub pause_after: Duration,
    /// Least time between two empty requests of a client that wants none of them held.
    pub polling: Duration,
}

/// What one frame may hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a frame.
    pub bytes_max: usize,
    /// Nesting of elements; above 256 the stack is in danger.
    pub depth_max: usize,
    /// Elements in a frame, all levels together.
    pub elements_max: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes_max: usize,
    /// Namespace declarations of one element.
    pub namespaces_max: usize,
    /// Bytes of a name of an element or attribute, with its prefix.
    pub name_bytes_max: usize,
    /// Bytes of an attribute's value; at most 8,192, the limit of the tree builder.
    pub value_bytes_max: usize,
    /// Bytes of the stanza's `to`, `from` and `id`.
    pub address_bytes_max: usize,
}

/// So much at once, and so much per second on the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

#[cfg(test)]
pub(crate) fn for_tests() -> Config {
    let limits = Limits {
        bytes_max: 256 * 1024,
        depth_max: 32,
        elements_max: 5_000,
        attributes_max: 64,
        namespaces_max: 16,
        name_bytes_max: 256,
        value_bytes_max: 8_192,
        address_bytes_max: 3_100,
    };
    Config {
        limits_before_login: Limits {
            bytes_max: 64 * 1024,
            elements_max: 500,
            ..limits.clone()
        },
        limits,
        byte_rate_before_login: Rate {
            per_second: 64 * 1024,
            burst: 512 * 1024,
        },
        byte_rate: Rate {
            per_second: 512 * 1024,
            burst: 2 * 1024 * 1024,
        },
        stanza_rate: Rate {
            per_second: 20,
            burst: 200,
        },
        login_timeout: Duration::from_secs(30),
        lease: Duration::from_secs(60),
        liveness_ping_after: Duration::from_secs(15),
        liveness_timeout: Duration::from_secs(15),
        queue_stanzas_max: 4_096,
        queue_bytes_max: 4 * 1024 * 1024,
        ack_request_after: 5,
        bosh: BoshConfig {
            wait: Duration::from_secs(60),
            pause_after: Duration::from_secs(5),
            polling: Duration::from_secs(5),
        },
    }
}
