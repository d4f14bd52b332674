//! Datagrams on their way out: one arena of bytes, and what in it goes where.

use std::net::SocketAddr;
use std::ops::Range;

/// A datagram to be sent, with bytes of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The local address that it must leave from.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
    /// What.
    pub contents: Vec<u8>,
}

/// Datagrams to be sent, in order. The caller owns it and empties it with [`Batch::clear`], which
/// keeps the memory.
///
/// A datagram is made in place, at the end of [`Batch::bytes`], and then put on its way with
/// [`Batch::add`]:
///
/// ```
/// # use tertulia_transport::batch::Batch;
/// # let (source, destination) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
/// let mut batch = Batch::default();
/// let start = batch.bytes.len();
/// batch.bytes.extend_from_slice(b"header and payload");
/// batch.add(source, destination, start..batch.bytes.len());
/// assert_eq!(batch.len(), 1);
/// ```
///
/// What one after the other goes the same way, in equal size, is kept as one [`Run`]: worth one
/// call with segmentation offload, and its bytes are in one piece already.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The arena. Only ever appended to until the batch is emptied; bytes that belong to no
    /// datagram are not sent.
    pub bytes: Vec<u8>,
    runs: Vec<Span>,
    datagrams: usize,
    total: usize,
}

/// A run without its bytes.
#[derive(Clone, Debug)]
struct Span {
    source: SocketAddr,
    destination: SocketAddr,
    segment: usize,
    range: Range<usize>,
}

impl Batch {
    /// Puts a range of [`Batch::bytes`] on its way as one datagram. Nothing happens where the
    /// range is empty or not within the bytes.
    pub fn add(&mut self, source: SocketAddr, destination: SocketAddr, range: Range<usize>) {
        if range.is_empty() || range.end > self.bytes.len() {
            return;
        }
        self.datagrams += 1;
        self.total += range.len();
        let last = self.runs.last_mut();
        let fitting = last.filter(|run| {
            run.range.end == range.start
                && range.len() <= run.segment
                && run.range.len().is_multiple_of(run.segment)
                && run.destination == destination
                && run.source == source
        });
        match fitting {
            Some(run) => run.range.end = range.end,
            None => self.runs.push(Span {
                source,
                destination,
                segment: range.len(),
                range,
            }),
        }
    }

    /// Appends a datagram that exists elsewhere.
    pub fn push(&mut self, source: SocketAddr, destination: SocketAddr, contents: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(contents);
        self.add(source, destination, start..self.bytes.len());
    }

    /// Appends all datagrams of a run of another batch.
    pub fn push_run(&mut self, run: Run<'_>) {
        for datagram in run.datagrams() {
            self.push(datagram.source, datagram.destination, datagram.contents);
        }
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.datagrams
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.datagrams == 0
    }

    /// How many bytes all datagrams have together.
    pub fn total_bytes(&self) -> usize {
        self.total
    }

    /// The datagrams, in the order in which they are to leave.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.runs().flat_map(Run::datagrams)
    }

    /// The same, what goes the same way in equal size together.
    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        self.runs.iter().map(|run| self.view(run))
    }

    /// One of the runs, counted from 0.
    pub fn run(&self, index: usize) -> Option<Run<'_>> {
        self.runs.get(index).map(|run| self.view(run))
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
        self.datagrams = 0;
        self.total = 0;
    }

    fn view(&self, span: &Span) -> Run<'_> {
        Run {
            source: span.source,
            destination: span.destination,
            segment: span.segment,
            bytes: self.bytes.get(span.range.clone()).unwrap_or_default(),
        }
    }
}

/// One datagram of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The local address that it must leave from.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
    /// What.
    pub contents: &'a [u8],
}

impl Datagram<'_> {
    /// The same with bytes of its own.
    pub fn to_transmit(&self) -> Transmit {
        Transmit {
            source: self.source,
            destination: self.destination,
            contents: self.contents.to_vec(),
        }
    }
}

/// One datagram or several, one behind the other, that go the same way: all of the size of the
/// first, except that the last one may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// The local address that they must leave from.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
    /// The size of each datagram but the last; never 0.
    pub segment: usize,
    /// All of them.
    pub bytes: &'a [u8],
}

impl<'a> Run<'a> {
    /// How many datagrams these are.
    pub fn count(self) -> usize {
        self.bytes.len().div_ceil(self.segment)
    }

    /// The first so many of them, and the others, where there are any.
    pub fn split(self, count: usize) -> (Run<'a>, Option<Run<'a>>) {
        let at = count.saturating_mul(self.segment);
        let Some((head, tail)) = self.bytes.split_at_checked(at) else {
            return (self, None);
        };
        let rest = (!tail.is_empty()).then_some(Run {
            bytes: tail,
            ..self
        });
        (
            Run {
                bytes: head,
                ..self
            },
            rest,
        )
    }

    /// One after the other.
    pub fn datagrams(self) -> impl Iterator<Item = Datagram<'a>> {
        let Run {
            source,
            destination,
            segment,
            bytes,
        } = self;
        bytes.chunks(segment).map(move |contents| Datagram {
            source,
            destination,
            contents,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn batch(datagrams: &[(&str, usize)]) -> Batch {
        let mut batch = Batch::default();
        for (number, (to, length)) in (0u8..).zip(datagrams) {
            let contents = vec![number; *length];
            batch.push(address("192.0.2.1:10000"), address(to), &contents);
        }
        batch
    }

    #[test]
    fn runs_are_equal_packets_to_one_receiver() {
        let (a, b) = ("192.0.2.2:1000", "192.0.2.3:1000");
        let check = |datagrams: &[(&str, usize)], expected: &[usize]| {
            let batch = batch(datagrams);
            let counts: Vec<_> = batch.runs().map(Run::count).collect();
            assert_eq!(counts, expected, "{datagrams:?}");
            let seen: Vec<_> = (0u8..)
                .zip(batch.iter())
                .map(|(number, datagram)| {
                    assert!(datagram.contents.iter().all(|byte| *byte == number));
                    (datagram.destination.to_string(), datagram.contents.len())
                })
                .collect();
            let meant: Vec<_> = datagrams
                .iter()
                .map(|(to, length)| ((*to).to_owned(), *length))
                .collect();
            assert_eq!(seen, meant);
            assert_eq!(batch.len(), datagrams.len());
            let total: usize = datagrams.iter().map(|(_, length)| length).sum();
            assert_eq!(batch.total_bytes(), total);
        };
        check(&[], &[]);
        check(&[(a, 1200), (a, 1200), (b, 1200)], &[2, 1]);
        check(&[(a, 1200), (a, 700), (a, 700)], &[2, 1]);
        check(&[(a, 1200), (a, 1201)], &[1, 1]);
        check(&[(a, 1200), (b, 1200), (a, 1200)], &[1, 1, 1]);
        check(&[(a, 900); 100], &[100]);
    }

    #[test]
    fn another_local_address_is_another_run() {
        let mut batch = Batch::default();
        let to = address("192.0.2.2:1000");
        for from in ["192.0.2.1:10000", "[2001:db8::1]:10000"] {
            batch.push(address(from), to, b"same");
        }
        assert_eq!(batch.runs().count(), 2);
    }

    #[test]
    fn what_belongs_to_no_datagram_is_not_sent() {
        let (from, to) = (address("192.0.2.1:1"), address("192.0.2.2:2"));
        let mut batch = Batch::default();
        batch.push(from, to, b"one");
        batch.bytes.extend_from_slice(b"given up");
        batch.push(from, to, b"two");
        batch.push(from, to, b"");
        batch.add(from, to, 0..100);
        let contents: Vec<_> = batch.iter().map(|datagram| datagram.contents).collect();
        assert_eq!(contents, [b"one", b"two"]);
        assert_eq!((batch.len(), batch.total_bytes()), (2, 6));
        batch.clear();
        assert!(batch.is_empty() && batch.iter().next().is_none());
        assert_eq!((batch.bytes.len(), batch.total_bytes()), (0, 0));
    }

    #[test]
    fn a_run_splits_between_datagrams() {
        let to = "192.0.2.2:1000";
        let batch = batch(&[(to, 100), (to, 100), (to, 40)]);
        let run = batch.run(0).unwrap();
        let lengths =
            |run: Run<'_>| -> Vec<_> { run.datagrams().map(|d| d.contents.len()).collect() };
        let (head, tail) = run.split(2);
        assert_eq!(lengths(head), [100, 100]);
        assert_eq!(lengths(tail.unwrap()), [40]);
        for all in [3, usize::MAX] {
            let (head, tail) = run.split(all);
            assert_eq!((head, tail), (run, None));
        }
        let mut copy = Batch::default();
        copy.push_run(tail.unwrap());
        assert_eq!((copy.len(), copy.total_bytes()), (1, 40));
    }
}
