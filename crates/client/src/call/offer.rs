//! What an offer says, what we answer it with, and sources as descriptions list them.

use std::collections::BTreeSet;
use std::time::Duration;

use tertulia_model::bridge::IceCredentials;
use tertulia_model::{Encoding, EndpointId, MediaType, Random, Source, SourceName, Ssrc};
use tertulia_stanza::jingle::{Description, Jingle, Setup};
use tertulia_stanza::sources::{MediaSources, Semantics, SourceDescription, SsrcGroup};

use super::OfferError;
use crate::media::{
    CameraCodec, DEPENDENCY_DESCRIPTOR, Layer, Sending, SendingVideo, SyntheticCamera,
    TransportOffer, draw_source, known_extension,
};
use crate::{ChannelKind, ClientConfig, MediaKind};

pub(super) fn read_offer(
    initiate: &Jingle,
    channel: ChannelKind,
) -> Result<TransportOffer, OfferError> {
    let transport = initiate
        .complete_transport()
        .ok_or(OfferError::NoTransport)?;
    let (Some(ufrag), Some(pwd), Some(fingerprint)) =
        (&transport.ufrag, &transport.pwd, &transport.fingerprint)
    else {
        return Err(OfferError::NoTransport);
    };
    if fingerprint.setup == Setup::Active {
        return Err(OfferError::NotActive);
    }
    let descriptions = || {
        initiate
            .contents
            .iter()
            .filter_map(|c| c.description.as_ref())
    };
    let payload_types = || descriptions().flat_map(|d| &d.payload_types);
    let opus = payload_types().find(|p| p.name.eq_ignore_ascii_case("opus"));
    let video = |name: &str| {
        let codec = payload_types().find(|p| p.name.eq_ignore_ascii_case(name))?;
        let apt = ("apt".to_owned(), codec.id.to_string());
        let rtx = payload_types().find(|p| p.name == "rtx" && p.parameters.contains(&apt));
        Some((codec.id, rtx.map(|rtx| rtx.id)))
    };
    let vp8 = video("vp8");
    let extensions: BTreeSet<(u8, String)> = descriptions()
        .flat_map(|d| &d.header_extensions)
        .filter(|e| known_extension(&e.uri).is_some())
        .map(|e| (e.id, e.uri.clone()))
        .collect();
    let has_data = initiate.contents.iter().any(|c| {
        c.transport
            .as_ref()
            .is_some_and(|t| t.sctp_streams.is_some())
    });
    Ok(TransportOffer {
        ice: IceCredentials {
            ufrag: ufrag.clone(),
            pwd: pwd.clone(),
        },
        fingerprint: fingerprint.fingerprint.clone(),
        candidates: transport.candidates.iter().map(|c| c.address).collect(),
        opus: opus.ok_or(OfferError::NoOpus)?.id,
        vp8,
        vp9: vp8.and_then(|_| video("vp9")),
        extensions: extensions.into_iter().collect(),
        has_data_channel: has_data && channel == ChannelKind::Data,
    })
}

/// Draws our sources of these kinds, as far as the offer has room for them.
pub(super) fn draw_sending(
    config: &ClientConfig,
    endpoint: &EndpointId,
    kinds: &[MediaKind],
    offer: &TransportOffer,
    random: &mut Random,
) -> Result<(Vec<(MediaKind, Source)>, Sending), OfferError> {
    let has_rtx = offer.vp8.is_some_and(|(_, rtx)| rtx.is_some());
    let mut draw = |kind: MediaKind, encodings: usize| -> Result<Source, OfferError> {
        let name: SourceName = format!("{endpoint}-{}", kind.suffix())
            .parse()
            .map_err(|_| OfferError::Nick)?;
        let rtx = has_rtx && kind != MediaKind::Audio;
        Ok(draw_source(name, kind.source(), encodings, rtx, random))
    };
    let mut sources = Vec::new();
    let mut sending = Sending {
        audio_interval: config.audio_interval,
        voice: config.habits.voice,
        ..Sending::default()
    };
    for kind in kinds {
        let video = match (kind, &config.video) {
            (MediaKind::Audio, _) => {
                let audio = draw(*kind, 1)?;
                sources.push((*kind, audio.clone()));
                sending.audio = Some(audio);
                continue;
            }
            (_, _) if offer.vp8.is_none() => continue,
            (MediaKind::Video, Some(video)) => {
                let source = draw(*kind, video.layers.len())?;
                let primary = source.primary().unwrap_or(Ssrc(0));
                SendingVideo {
                    codec: match offer.vp9 {
                        Some(_) => video.codec,
                        None => CameraCodec::Vp8,
                    },
                    camera: (video.camera)(primary, &video.layers, video.interval),
                    layers: video.layers.clone(),
                    interval: video.interval,
                    pacing_bps: video.pacing_bps,
                    source,
                }
            }
            (MediaKind::Video, None) => continue,
            (MediaKind::Desktop, _) => {
                let (source, layers) = (draw(*kind, 1)?, vec![SCREEN]);
                let primary = source.primary().unwrap_or(Ssrc(0));
                SendingVideo {
                    codec: CameraCodec::Vp8,
                    camera: Box::new(SyntheticCamera::new(primary, &layers, SCREEN_INTERVAL)),
                    layers,
                    interval: SCREEN_INTERVAL,
                    pacing_bps: None,
                    source,
                }
            }
        };
        sources.push((*kind, video.source.clone()));
        sending.videos.push(video);
    }
    Ok((sources, sending))
}

/// Writes a source of ours into a description: each SSRC, FID groups, the SIM group.
pub(super) fn describe(source: &Source, nick: &str, description: &mut Description) {
    let index = source.name.as_str().chars().last().unwrap_or('0');
    let media = source.media.as_str();
    let msid = format!("{nick}-{media}-{index}-1 {}-track", source.name);
    let mut add = |ssrc: Ssrc| {
        let mut described = SourceDescription::new(ssrc, source.name.as_str(), &msid);
        described.video_type = source.video_type;
        description.sources.push((described, None));
    };
    for Encoding { primary, rtx } in &source.encodings {
        add(*primary);
        if let Some(rtx) = rtx {
            add(*rtx);
        }
    }
    if source.encodings.len() > 1 {
        let ssrcs = source.encodings.iter().map(|encoding| encoding.primary);
        description
            .groups
            .push(SsrcGroup::new(Semantics::Simulcast, ssrcs));
    }
    for Encoding { primary, rtx } in &source.encodings {
        if let Some(rtx) = rtx {
            description
                .groups
                .push(SsrcGroup::new(Semantics::Retransmission, [*primary, *rtx]));
        }
    }
}

/// The sources that a list of SSRCs describes: each name with its first SSRC and retransmissions.
pub(super) fn read_sources(media: MediaType, described: &MediaSources) -> Vec<Source> {
    let fids = || {
        described
            .groups
            .iter()
            .filter(|g| g.semantics == Semantics::Retransmission)
    };
    let rtx_of = |ssrc: Ssrc| {
        fids().find_map(|group| match group.ssrcs[..] {
            [primary, rtx] if primary == ssrc => Some(rtx),
            _ => None,
        })
    };
    let is_rtx = |ssrc: Ssrc| fids().any(|group| group.ssrcs.get(1) == Some(&ssrc));
    let mut sources: Vec<Source> = Vec::new();
    for description in described.sources.iter().filter(|d| !is_rtx(d.ssrc)) {
        let name = description
            .name
            .as_deref()
            .and_then(|name| name.parse::<SourceName>().ok());
        let Some(name) = name else { continue };
        let encoding = Encoding {
            primary: description.ssrc,
            rtx: rtx_of(description.ssrc),
        };
        match sources.iter_mut().find(|source| source.name == name) {
            Some(source) => source.encodings.push(encoding),
            None => sources.push(Source {
                name,
                media,
                video_type: description.video_type,
                encodings: vec![encoding],
            }),
        }
    }
    sources
}

pub(super) fn is_for(media: MediaType, uri: &str) -> bool {
    match media {
        MediaType::Audio => !uri.ends_with("abs-send-time") && uri != DEPENDENCY_DESCRIPTOR,
        MediaType::Video => !uri.ends_with("ssrc-audio-level"),
    }
}

/// A screen at five pictures a second, in one encoding.
const SCREEN: Layer = Layer {
    width: 1280,
    height: 720,
    bitrate_bps: 150_000,
};
const SCREEN_INTERVAL: Duration = Duration::from_millis(200);
