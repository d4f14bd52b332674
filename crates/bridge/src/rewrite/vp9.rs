//! VP9 (RFC 9628): what a packet says of itself, which spatial layers a receiver is sent, and the
//! numbers inside the payload.
//!
//! A picture consists of one frame for each spatial layer. In a stream with inter-layer prediction
//! throughout, a receiver needs all layers below its own; in one with prediction at key frames
//! only (k-SVC), it needs them at key frames, and then its own alone. Which of the two it is, each
//! packet says by itself.

use tertulia_transport::send::Patch;

/// What one packet of VP9 says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vp9Header {
    /// Picture id, and whether it has 15 bits.
    pub(crate) picture: Option<(u16, bool)>,
    /// Index of the temporal base layer, and where it stands in the payload.
    base_layer: Option<(u8, usize)>,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// The frame refers to frames of earlier pictures (P).
    is_inter_picture: bool,
    /// It refers to the spatial layer below (D).
    pub(crate) is_inter_layer: bool,
    /// Higher temporal layers can be taken up from here on (U).
    pub(crate) is_switching_up: bool,
    /// No higher spatial layer refers to it (Z).
    is_not_for_upper: bool,
    /// First packet of its frame (B).
    pub(crate) is_frame_start: bool,
    /// Last packet of its frame (E).
    pub(crate) is_frame_end: bool,
    /// What the scalability structure says, where there is one.
    pub(crate) structure: Option<Vp9Structure>,
}

/// The part of a scalability structure that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vp9Structure {
    /// How many spatial layers there are.
    pub(crate) layers: u8,
    /// Width and height of each.
    sizes: Option<[(u16, u16); LAYERS_MAX]>,
}

impl Vp9Structure {
    /// Width and height of each layer, if it says so.
    pub(crate) fn sizes(&self) -> Option<&[(u16, u16)]> {
        self.sizes.as_ref()?.get(..usize::from(self.layers))
    }
}

impl Vp9Header {
    /// None if the payload is not VP9.
    pub(crate) fn parse(payload: &[u8]) -> Option<Vp9Header> {
        let mut bytes = Bytes { payload, at: 0 };
        let first = bytes.next()?;
        let has = |bit: u8| first & bit != 0;
        let mut header = Vp9Header {
            picture: None,
            base_layer: None,
            spatial: 0,
            temporal: 0,
            is_inter_picture: has(0x40),
            is_inter_layer: false,
            is_switching_up: false,
            is_not_for_upper: has(0x01),
            is_frame_start: has(0x08),
            is_frame_end: has(0x04),
            structure: None,
        };
        let is_flexible = has(0x10);
        if has(0x80) {
            let high = bytes.next()?;
            header.picture = Some(if high & 0x80 == 0 {
                (u16::from(high), false)
            } else {
                (u16::from_be_bytes([high & 0x7f, bytes.next()?]), true)
            });
        }
        if has(0x20) {
            let layers = bytes.next()?;
            header.temporal = layers >> 5;
            header.is_switching_up = layers & 0x10 != 0;
            header.spatial = layers >> 1 & 7;
            header.is_inter_layer = layers & 1 != 0;
            if !is_flexible {
                let at = bytes.at;
                header.base_layer = Some((bytes.next()?, at));
            }
        }
        if is_flexible && header.is_inter_picture {
            // At most three references; each says whether another follows.
            for _ in 0..3 {
                if bytes.next()? & 1 == 0 {
                    break;
                }
            }
        }
        if has(0x02) {
            header.structure = Some(bytes.structure()?);
        }
        Some(header)
    }

    /// Whether this packet starts a key frame.
    pub(crate) fn is_keyframe_start(&self) -> bool {
        !self.is_inter_picture && !self.is_inter_layer && self.spatial == 0 && self.is_frame_start
    }

    /// Whether its layer needs nothing of those below but at key frames.
    pub(crate) fn is_independent(&self) -> bool {
        self.spatial > 0 && self.is_inter_picture && !self.is_inter_layer
    }

    /// Whether everything was sent that the frame refers to, where of these layers, one bit each,
    /// the last frame of the temporal base layer was.
    pub(crate) fn has_base(&self, sent: u8) -> bool {
        let is_sent = |layer: u8| sent >> layer & 1 == 1;
        let below = self.spatial.checked_sub(1);
        (!self.is_inter_picture || is_sent(self.spatial))
            && (!self.is_inter_layer || below.is_some_and(is_sent))
    }

    /// Whether a receiver needs the frame that is sent layers up to this one.
    pub(crate) fn is_part_of(&self, top: u8) -> bool {
        self.spatial == top || (self.spatial < top && !self.is_not_for_upper)
    }

    pub(crate) fn base_layer(&self) -> Option<u8> {
        self.base_layer.map(|(index, _)| index)
    }

    /// What makes other numbers of those in the payload, without a copy of it.
    pub(crate) fn renumbered(&self, picture: u16, base_layer: u8) -> Option<Patch> {
        let mut patch = Patch::new();
        let [high, low] = picture.to_be_bytes();
        match self.picture {
            Some((_, true)) => patch = patch.with(1, 0x80 | high)?.with(2, low)?,
            Some((_, false)) => patch = patch.with(1, low & 0x7f)?,
            None => {}
        }
        if let Some((_, at)) = self.base_layer {
            patch = patch.with(at, base_layer)?;
        }
        Some(patch)
    }
}

struct Bytes<'a> {
    payload: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = *self.payload.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.next()?, self.next()?]))
    }

    fn structure(&mut self) -> Option<Vp9Structure> {
        let first = self.next()?;
        let layers = (first >> 5) + 1;
        let mut sizes = None;
        if first & 0x10 != 0 {
            let mut each = [(0, 0); LAYERS_MAX];
            for size in each.iter_mut().take(usize::from(layers)) {
                *size = (self.number()?, self.number()?);
            }
            sizes = Some(each);
        }
        if first & 0x08 != 0 {
            for _ in 0..self.next()? {
                let references = self.next()? >> 2 & 3;
                for _ in 0..references {
                    self.next()?;
                }
            }
        }
        Some(Vp9Structure { layers, sizes })
    }
}

/// Which spatial layers one receiver is sent, found out from the packets alone.
#[derive(Debug, Default)]
pub(crate) struct Vp9Layers {
    /// The highest.
    current: u8,
    /// What it is to be.
    wanted: u8,
    /// Of which the last frame of the temporal base layer was sent.
    sent: [bool; LAYERS_MAX],
    /// How many there are.
    count: Option<u8>,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Send,
    Leave,
    /// It would be sent if there had been a key frame.
    LeaveForWantOfKeyframe,
}

impl Vp9Layers {
    /// Decodes from a key frame on.
    pub(crate) fn begin(&mut self) {
        *self = Vp9Layers::default();
    }

    /// The highest layer that is sent.
    pub(crate) fn current(&self) -> u8 {
        self.current
    }

    /// Of which layers the last frame of the temporal base layer was sent; one bit each.
    pub(crate) fn sent(&self) -> u8 {
        let layers = (0..).zip(&self.sent);
        layers.fold(0, |bits, (layer, sent)| bits | u8::from(*sent) << layer)
    }

    /// The highest layer that is sent of the picture that a packet belongs to.
    pub(crate) fn top(&self, header: &Vp9Header) -> u8 {
        // At a key frame the wanted one is reached in steps, all in one picture.
        match header.is_inter_picture {
            true => self.current,
            false => self.wanted,
        }
    }

    /// Decides about a frame that comes in order. Of a picture that is closed, its end told, no
    /// higher layer is begun with.
    pub(crate) fn choose(&mut self, header: &Vp9Header, target: u8, is_closed: bool) -> Choice {
        let spatial = header.spatial;
        if header.is_keyframe_start() {
            self.sent = [false; LAYERS_MAX];
        }
        if let Some(structure) = header.structure {
            self.count = Some(structure.layers);
        }
        // What is wanted may not be sent any more; what is sent will be known later.
        let top = self.count.map_or(u8::MAX, |count| count.saturating_sub(1));
        let target = target.min(top);
        self.wanted = target;
        let is_nearer = (spatial > self.current && spatial <= target)
            || (spatial < self.current && spatial >= target)
            || self.current > top;
        let may_begin = spatial <= self.current || !is_closed;
        let has_base = may_begin && header.has_base(self.sent());
        if is_nearer && has_base {
            self.current = spatial;
        }
        let is_sent = has_base && header.is_part_of(self.current);
        if header.temporal == 0
            && let Some(sent) = self.sent.get_mut(usize::from(spatial))
        {
            *sent = is_sent;
        }
        match is_sent {
            true => Choice::Send,
            // Also where the layer that is sent lost what it refers to.
            false if (is_nearer || spatial == self.current) && header.temporal == 0 => {
                Choice::LeaveForWantOfKeyframe
            }
            false => Choice::Leave,
        }
    }
}

/// Spatial layers are numbered by three bits.
const LAYERS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalable::{Encoder, Layers, Prediction};

    #[test]
    fn descriptors_of_all_shapes() {
        // Long id, layers and base layer, not flexible: T1 U S2 D.
        let header = Vp9Header::parse(&[0xe8, 0x81, 0x02, 0x35, 0x07, 9]).unwrap();
        assert_eq!(header.picture, Some((0x102, true)));
        assert_eq!((header.temporal, header.spatial), (1, 2));
        assert!(header.is_switching_up && header.is_inter_layer && header.is_frame_start);
        assert!(header.is_inter_picture && !header.is_frame_end && !header.is_not_for_upper);
        assert_eq!(header.base_layer(), Some(7));
        // Short id, flexible with two references.
        let header = Vp9Header::parse(&[0xf5, 0x42, 0x00, 0x03, 0x04, 9]).unwrap();
        assert_eq!(header.picture, Some((0x42, false)));
        assert!(header.base_layer().is_none() && header.is_frame_end && header.is_not_for_upper);
        // A structure with sizes and a group of two pictures.
        let mut bytes = vec![0x8a, 0x01, 0x38];
        bytes.extend([0, 160, 0, 90, 1, 64, 0, 180]);
        bytes.extend([2, 0x04, 1, 0x08, 1, 2, 9]);
        let header = Vp9Header::parse(&bytes).unwrap();
        assert!(header.is_keyframe_start());
        let structure = header.structure.unwrap();
        assert_eq!(structure.sizes(), Some(&[(160, 90), (320, 180)][..]));
        for cut in 0..bytes.len() - 1 {
            assert!(Vp9Header::parse(&bytes[..cut]).is_none(), "{cut}");
        }
        let bare = Vp9Header::parse(&[0x8a, 0x01, 0x20]).unwrap();
        assert_eq!(bare.structure.unwrap().sizes(), None);
    }

    #[test]
    fn numbers_are_written_where_they_stand() {
        for payload in [
            &[0xe8, 0x81, 0x02, 0x35, 0x07, 9, 9][..],
            &[0xe8, 0x41, 0x35, 0x07, 9, 9],
            &[0x88, 0x41, 9, 9],
            &[0x08, 9, 9],
        ] {
            let header = Vp9Header::parse(payload).unwrap();
            let mut bytes = payload.to_vec();
            header.renumbered(0x7abc, 200).unwrap().apply(&mut bytes);
            let again = Vp9Header::parse(&bytes).unwrap();
            let long = header.picture.is_some_and(|(_, is_long)| is_long);
            let picture = if long { 0x7abc } else { 0x3c };
            assert_eq!(again.picture, header.picture.map(|_| (picture, long)));
            assert_eq!(again.base_layer(), header.base_layer().map(|_| 200));
            assert_eq!(bytes[bytes.len() - 2..], [9, 9]);
        }
    }

    /// Of a key picture the middle layer is lost: what is wanted refers to it, picture by picture,
    /// until a key frame comes.
    #[test]
    fn a_layer_whose_base_was_lost_wants_a_key_frame() {
        let mut encoder = Encoder::new(
            Layers {
                spatial: 3,
                temporal: 1,
                prediction: Prediction::Key,
            },
            0,
        );
        let mut layers = Vp9Layers::default();
        let mut picture = |is_key: bool, lost: Option<u8>| {
            let frames = encoder.encode(is_key, 3).into_iter();
            let frames = frames.filter(|frame| Some(frame.spatial) != lost);
            let headers: Vec<Vp9Header> = frames
                .map(|frame| Vp9Header::parse(&encoder.vp9(&frame, (true, true))).unwrap())
                .collect();
            let choose = |header: &Vp9Header| layers.choose(header, 2, false);
            headers.iter().map(choose).collect::<Vec<Choice>>()
        };
        assert_eq!(picture(true, None), [Choice::Send; 3]);
        let usual = [Choice::Leave, Choice::Leave, Choice::Send];
        assert_eq!(picture(false, None), usual);
        let wants = Choice::LeaveForWantOfKeyframe;
        assert_eq!(picture(true, Some(1)), [Choice::Send, wants]);
        assert_eq!(picture(false, None)[2], wants);
        assert_eq!(picture(true, None), [Choice::Send; 3]);
        assert_eq!(picture(false, None), usual);
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_read(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            if let Some(header) = Vp9Header::parse(&bytes) {
                let mut renumbered = bytes.clone();
                header.renumbered(1, 2).unwrap().apply(&mut renumbered);
                proptest::prop_assert!(Vp9Header::parse(&renumbered).is_some());
            }
        }
    }
}
