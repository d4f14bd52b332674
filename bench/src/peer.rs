//! One end of a media transport on the load's side: str0m and a socket. It sends pictures of
//! packets that carry their time, and notes what arrives; it does not know which server it faces.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use socket2::SockRef;
use str0m::media::{Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

/// One end of a transport.
pub(crate) struct Peer {
    pub(crate) rtc: Rtc,
    pub(crate) socket: UdpSocket,
    pub(crate) address: SocketAddr,
    pub(crate) is_connected: bool,
    pub(crate) camera: Option<Camera>,
    pub(crate) received: Received,
    wake: Instant,
    buffer: Box<[u8]>,
}

/// Sends pictures of so many packets at fixed intervals, all packets of one at once.
pub(crate) struct Camera {
    mid: Mid,
    payload_type: Pt,
    pub(crate) interval: Duration,
    pub(crate) parts: u16,
    pub(crate) due: Instant,
    pub(crate) sent: u64,
    frame: u32,
    number: u64,
    is_key_wanted: bool,
}

/// What arrived.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// Microseconds from the sender's write, if they are to be noted.
    pub(crate) delays: Option<Vec<u32>>,
    /// Parts of key frames until one was complete.
    keys: BTreeMap<u32, u16>,
    pub(crate) first_key_frame: Option<Instant>,
}

/// What each packet carries in its last bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    is_key: bool,
    frame: u32,
    part: u16,
    parts: u16,
    sent_us: u64,
}

/// A socket for a peer.
pub(crate) fn bind(ip: IpAddr) -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, 0)).with_context(|| format!("a UDP port of {ip}"))?;
    socket.set_nonblocking(true)?;
    // What is not granted shows as loss, and loss voids a run.
    let _ = SockRef::from(&socket).set_recv_buffer_size(4 << 20);
    Ok(socket)
}

impl Peer {
    pub(crate) fn new(mut rtc: Rtc, socket: UdpSocket) -> anyhow::Result<Peer> {
        let address = socket.local_addr()?;
        rtc.add_local_candidate(Candidate::host(address, "udp")?);
        Ok(Peer {
            rtc,
            socket,
            address,
            is_connected: false,
            camera: None,
            received: Received::default(),
            wake: Instant::now(),
            buffer: vec![0; 2_048].into(),
        })
    }

    /// When it wants to be driven.
    pub(crate) fn wake(&self) -> Instant {
        match &self.camera {
            Some(camera) if self.is_connected => self.wake.min(camera.due),
            _ => self.wake,
        }
    }

    /// Takes in what has arrived, sends what is due.
    pub(crate) fn turn(&mut self, is_readable: bool) -> anyhow::Result<()> {
        if is_readable {
            self.receive()?;
        }
        let now = Instant::now();
        if self.is_connected && self.camera.as_ref().is_some_and(|camera| camera.due <= now) {
            self.send_picture(now)?;
        }
        for _ in 0..STEPS_MAX {
            if self.wake > now {
                break;
            }
            self.rtc.handle_input(Input::Timeout(now))?;
            self.drain()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> anyhow::Result<()> {
        for _ in 0..DATAGRAMS_AT_ONCE {
            let (length, from) = match self.socket.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The answer to a packet that came too early or too late.
                Err(_) => continue,
            };
            let data = self.buffer.get(..length).unwrap_or_default();
            let Ok(receive) = Receive::new(Protocol::Udp, from, self.address, data) else {
                continue;
            };
            self.rtc
                .handle_input(Input::Receive(Instant::now(), receive))?;
            self.drain()?;
        }
        Ok(())
    }

    fn send_picture(&mut self, now: Instant) -> anyhow::Result<()> {
        let Some(camera) = &mut self.camera else {
            return Ok(());
        };
        camera.due += camera.interval;
        if camera.due < now {
            // Held up for longer than a picture: what was missed is not made up for.
            camera.due = now + camera.interval;
        }
        let is_key = camera.frame == 0 || std::mem::take(&mut camera.is_key_wanted);
        let mut direct = self.rtc.direct_api();
        let stream = direct
            .stream_tx_by_mid(camera.mid, None)
            .context("the camera's stream")?;
        for part in 0..camera.parts {
            camera.number += 1;
            camera.sent += 1;
            let stamp = Stamp {
                is_key,
                frame: camera.frame,
                part,
                parts: camera.parts,
                sent_us: clock_us(),
            };
            let time = u64::from(camera.frame) * 3_000;
            let write = RtpWrite::new(
                camera.payload_type,
                camera.number.into(),
                time as u32,
                now,
                stamp.payload(),
            );
            let is_last = part + 1 == camera.parts;
            stream.write_rtp(write.marker(is_last).nackable(true));
        }
        camera.frame += 1;
        self.rtc.handle_input(Input::Timeout(now))?;
        self.drain()
    }

    fn drain(&mut self) -> anyhow::Result<()> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(wake) => {
                    self.wake = wake;
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    // Full buffers are loss, and loss voids a run.
                    let _ = self
                        .socket
                        .send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(Event::RtpPacket(packet)) => self.received.take_in(&packet.payload),
                Output::Event(Event::Connected) => self.is_connected = true,
                Output::Event(Event::KeyframeRequest(_)) => {
                    if let Some(camera) = &mut self.camera {
                        camera.is_key_wanted = true;
                    }
                }
                Output::Event(_) => {}
            }
        }
    }
}

impl Camera {
    /// A camera with pictures of `parts` packets, `fps` a second.
    pub(crate) fn new(mid: Mid, payload_type: Pt, fps: u32, parts: u16) -> Camera {
        Camera {
            mid,
            payload_type,
            interval: Duration::from_secs(1) / fps,
            parts,
            due: Instant::now(),
            sent: 0,
            frame: 0,
            number: 0,
            is_key_wanted: false,
        }
    }
}

impl Received {
    fn take_in(&mut self, payload: &[u8]) {
        // Padding of a bandwidth probe has none.
        let Some(stamp) = Stamp::read(payload) else {
            return;
        };
        self.packets += 1;
        self.bytes += payload.len() as u64;
        if let Some(delays) = &mut self.delays {
            let delay = clock_us().saturating_sub(stamp.sent_us);
            delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
        }
        if stamp.is_key && self.first_key_frame.is_none() {
            let parts = self.keys.entry(stamp.frame).or_default();
            *parts += 1;
            if *parts == stamp.parts {
                self.first_key_frame = Some(Instant::now());
            }
        }
    }
}

impl Stamp {
    /// A packet of VP8 (RFC 7741) with picture id, TL0PICIDX and layer 0, of the size that makes
    /// 1 200 bytes with RTP header, extensions and tag.
    fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(PAYLOAD);
        let [high, low] = (self.frame as u16 & 0x7fff).to_be_bytes();
        let start = if self.part == 0 { 0x10 } else { 0 };
        payload.extend([0x80 | start, 0xe0, 0x80 | high, low, self.frame as u8, 0]);
        if self.part == 0 {
            payload.extend([0x10 | u8::from(!self.is_key), 0, 0]);
            if self.is_key {
                payload.extend([0x9d, 0x01, 0x2a]);
                payload.extend(1_280u16.to_le_bytes());
                payload.extend(720u16.to_le_bytes());
            }
        }
        payload.resize(PAYLOAD - STAMP, 0xa5);
        payload.push(u8::from(self.is_key));
        payload.extend(self.frame.to_be_bytes());
        payload.extend(self.part.to_be_bytes());
        payload.extend(self.parts.to_be_bytes());
        payload.extend(self.sent_us.to_be_bytes());
        payload
    }

    fn read(payload: &[u8]) -> Option<Stamp> {
        if payload.len() != PAYLOAD {
            return None;
        }
        let rest = payload.get(PAYLOAD - STAMP..)?;
        let (&[key], rest) = rest.split_first_chunk::<1>()?;
        let (&frame, rest) = rest.split_first_chunk::<4>()?;
        let (&part, rest) = rest.split_first_chunk::<2>()?;
        let (&parts, rest) = rest.split_first_chunk::<2>()?;
        let (&sent, _) = rest.split_first_chunk::<8>()?;
        Some(Stamp {
            is_key: key == 1,
            frame: u32::from_be_bytes(frame),
            part: u16::from_be_bytes(part),
            parts: u16::from_be_bytes(parts),
            sent_us: u64::from_be_bytes(sent),
        })
    }
}

/// The clock that all peers share.
fn clock_us() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

const PAYLOAD: usize = 1_160;
const STAMP: usize = 17;
const DATAGRAMS_AT_ONCE: usize = 256;
const STEPS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_and_looks_like_vp8() {
        for (part, is_key) in [(0, true), (0, false), (3, true)] {
            let stamp = Stamp {
                is_key,
                frame: 40_000,
                part,
                parts: 4,
                sent_us: 1 << 40,
            };
            let payload = stamp.payload();
            assert_eq!(Stamp::read(&payload), Some(stamp));
            let descriptor = str0m::rtp::Vp8Descriptor::parse(&payload).unwrap();
            assert_eq!(descriptor.picture_id(), Some(40_000 & 0x7fff));
            assert_eq!(descriptor.starts_keyframe(&payload), part == 0 && is_key);
        }
        assert_eq!(Stamp::read(&[0; PAYLOAD - 1]), None);
    }

    #[test]
    fn the_first_complete_key_frame_counts() {
        let mut received = Received::default();
        let stamp = |is_key, frame, part| Stamp {
            is_key,
            frame,
            part,
            parts: 2,
            sent_us: 0,
        };
        for (is_key, frame, part) in [(true, 1, 0), (false, 2, 0), (false, 2, 1), (true, 3, 1)] {
            received.take_in(&stamp(is_key, frame, part).payload());
            assert_eq!(received.first_key_frame, None);
        }
        received.take_in(&stamp(true, 3, 0).payload());
        assert!(received.first_key_frame.is_some());
        assert_eq!(received.packets, 5);
    }
}
