//! The conference-wide registry of sources: who sends which SSRC under which name, and what of it
//! the others are told.
//!
//! First come, first served: an SSRC or msid belongs to whoever announced it first. A request is
//! taken as a whole or refused as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tertulia_model::{
    Encoding, EndpointId, MediaType, Source, SourceName, Ssrc, VideoType, invariant,
};
use tertulia_stanza::sources::{
    EndpointSources, MediaSources, Semantics, SourceDescription, SsrcGroup,
};

/// Why an addition or removal was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("ssrc {0} is in use")]
    SsrcInUse(Ssrc),
    #[error("ssrc 0 is not a source")]
    ZeroSsrc,
    #[error("more than {0} sources or groups")]
    TooMany(usize),
    #[error("a source name must be that of its endpoint and of its kind of media")]
    Name,
    #[error("an msid has at most {MSID_BYTES_MAX} bytes and no control characters")]
    Msid,
    #[error("the msid is in use by another source")]
    MsidInUse,
    #[error("ssrcs of one source must share one name and one msid")]
    MixedSource,
    #[error("several ssrcs of one source must be joined by groups")]
    Ungrouped,
    #[error("a group must be made of the endpoint's own ssrcs of one source, FID of two")]
    Group,
    #[error("ssrc {0} is in two groups of one kind")]
    GroupedTwice(Ssrc),
    #[error("ssrc {0} is not one of the endpoint's")]
    UnknownSsrc(Ssrc),
    #[error("no such group")]
    UnknownGroup,
}

/// One source as the others are told of it: one SSRC and its retransmissions, no simulcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) media: MediaType,
    name: SourceName,
    msid: Option<String>,
    video_type: VideoType,
    encoding: Encoding,
}

/// All sources of a conference.
#[derive(Default)]
pub(crate) struct Registry {
    owners: BTreeMap<EndpointId, Owner>,
    by_ssrc: BTreeMap<Ssrc, EndpointId>,
    by_msid: BTreeMap<String, EndpointId>,
}

struct Owner {
    described: EndpointSources,
    sources: Vec<Source>,
    announced: Arc<[Announced]>,
}

impl Registry {
    /// Adds sources of an endpoint, or none of them.
    pub(crate) fn add(
        &mut self,
        owner: &EndpointId,
        added: &EndpointSources,
        count_max: usize,
    ) -> Result<(), Refusal> {
        let mut described = self.described(owner);
        let mut fresh = BTreeSet::new();
        for media in MEDIA {
            for source in &added.of(media).sources {
                if source.ssrc == Ssrc(0) {
                    return Err(Refusal::ZeroSsrc);
                }
                if self.by_ssrc.contains_key(&source.ssrc) || !fresh.insert(source.ssrc) {
                    return Err(Refusal::SsrcInUse(source.ssrc));
                }
                let msid = source.msid.as_deref().unwrap_or_default();
                // Clients write others' msids into SDP, where a line break would be a new line.
                if msid.len() > MSID_BYTES_MAX || msid.chars().any(char::is_control) {
                    return Err(Refusal::Msid);
                }
                if self.by_msid.get(msid).is_some_and(|other| other != owner) {
                    return Err(Refusal::MsidInUse);
                }
                let named = named(owner, media, source)?;
                described.of_mut(media).sources.push(named);
            }
            let groups = &mut described.of_mut(media).groups;
            for group in &added.of(media).groups {
                let group = without_repetitions(group);
                if !group.ssrcs.is_empty() && !groups.contains(&group) {
                    groups.push(group);
                }
            }
        }
        validate(&described, &fresh, count_max)?;
        self.replace(owner, described);
        Ok(())
    }

    /// Removes sources and groups of an endpoint, or none of them.
    pub(crate) fn remove(
        &mut self,
        owner: &EndpointId,
        removed: &EndpointSources,
    ) -> Result<(), Refusal> {
        let mut described = self.described(owner);
        for media in MEDIA {
            let kept = described.of_mut(media);
            for group in &removed.of(media).groups {
                let group = without_repetitions(group);
                let known = kept.groups.iter().position(|other| *other == group);
                kept.groups.remove(known.ok_or(Refusal::UnknownGroup)?);
            }
            for source in &removed.of(media).sources {
                let known = kept
                    .sources
                    .iter()
                    .position(|other| other.ssrc == source.ssrc);
                kept.sources
                    .remove(known.ok_or(Refusal::UnknownSsrc(source.ssrc))?);
                kept.groups
                    .retain(|group| !group.ssrcs.contains(&source.ssrc));
            }
        }
        self.replace(owner, described);
        Ok(())
    }

    /// Forgets an endpoint.
    pub(crate) fn remove_owner(&mut self, owner: &EndpointId) {
        self.replace(owner, EndpointSources::default());
    }

    /// What an endpoint sends, for the bridge.
    pub(crate) fn sources(&self, owner: &EndpointId) -> &[Source] {
        self.owners.get(owner).map_or(&[], |owner| &owner.sources)
    }

    /// What the others are told of an endpoint.
    pub(crate) fn announced(&self, owner: &EndpointId) -> Arc<[Announced]> {
        self.owners
            .get(owner)
            .map_or_else(|| Arc::from([]), |owner| owner.announced.clone())
    }

    /// All endpoints that send anything.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &EndpointId> {
        self.owners.keys()
    }

    /// Whether every SSRC belongs to exactly one endpoint, which has it.
    pub(crate) fn is_consistent(&self) -> bool {
        let ssrcs = |owner: &Owner| {
            let all = MEDIA.map(|media| &owner.described.of(media).sources);
            all.into_iter()
                .flatten()
                .map(|source| source.ssrc)
                .collect::<Vec<_>>()
        };
        let count: usize = self.owners.values().map(|owner| ssrcs(owner).len()).sum();
        let is_indexed = self.owners.iter().all(|(id, owner)| {
            ssrcs(owner)
                .iter()
                .all(|ssrc| self.by_ssrc.get(ssrc) == Some(id))
        });
        invariant!(
            count == self.by_ssrc.len() && is_indexed,
            "an ssrc belongs to exactly one endpoint"
        )
    }

    fn described(&self, owner: &EndpointId) -> EndpointSources {
        self.owners
            .get(owner)
            .map(|owner| owner.described.clone())
            .unwrap_or_default()
    }

    /// The one place where sources change: all indexes follow.
    fn replace(&mut self, owner: &EndpointId, described: EndpointSources) {
        self.by_ssrc.retain(|_, other| other != owner);
        self.by_msid.retain(|_, other| other != owner);
        for source in MEDIA.iter().flat_map(|media| &described.of(*media).sources) {
            self.by_ssrc.insert(source.ssrc, owner.clone());
            if let Some(msid) = source.msid.as_ref().filter(|msid| !msid.is_empty()) {
                self.by_msid.insert(msid.clone(), owner.clone());
            }
        }
        if described.is_empty() {
            self.owners.remove(owner);
            return;
        }
        let of = |media| described.of(media);
        let with_msids: Vec<(Source, Option<String>)> = MEDIA
            .iter()
            .flat_map(|media| model_sources(*media, of(*media)))
            .collect();
        let announced = with_msids
            .iter()
            .filter_map(|(source, msid)| announce(source, msid));
        let announced = announced.collect();
        let sources = with_msids.into_iter().map(|(source, _)| source).collect();
        self.owners.insert(
            owner.clone(),
            Owner {
                described,
                sources,
                announced,
            },
        );
    }
}

impl Announced {
    fn add_to(&self, sources: &mut EndpointSources) {
        let describe = |ssrc| SourceDescription {
            ssrc,
            name: Some(self.name.as_str().to_owned()),
            msid: self.msid.clone(),
            video_type: self.video_type,
        };
        let media = sources.of_mut(self.media);
        media.sources.push(describe(self.encoding.primary));
        if let Some(rtx) = self.encoding.rtx {
            media.sources.push(describe(rtx));
            let ssrcs = [self.encoding.primary, rtx];
            media
                .groups
                .push(SsrcGroup::new(Semantics::Retransmission, ssrcs));
        }
    }
}

/// Sources as they are written into a stanza.
pub(crate) fn described<'a>(announced: impl IntoIterator<Item = &'a Announced>) -> EndpointSources {
    let mut sources = EndpointSources::default();
    for source in announced {
        source.add_to(&mut sources);
    }
    sources
}

/// The source with a name that fits.
fn named(
    owner: &EndpointId,
    media: MediaType,
    source: &SourceDescription,
) -> Result<SourceDescription, Refusal> {
    let letter = match media {
        MediaType::Audio => 'a',
        MediaType::Video => 'v',
    };
    let name = match &source.name {
        Some(name) => name.clone(),
        // Old clients give no names; they have at most one source of each kind.
        None => format!("{owner}-{letter}0"),
    };
    let valid: SourceName = name.parse().map_err(|_| Refusal::Name)?;
    let index = valid
        .as_str()
        .rsplit_once('-')
        .map_or("", |(_, index)| index);
    if valid.owner() != owner.as_str() || !index.starts_with(letter) {
        return Err(Refusal::Name);
    }
    Ok(SourceDescription {
        name: Some(name),
        ..source.clone()
    })
}

fn without_repetitions(group: &SsrcGroup) -> SsrcGroup {
    let mut seen = BTreeSet::new();
    let ssrcs = group
        .ssrcs
        .iter()
        .copied()
        .filter(|ssrc| seen.insert(*ssrc));
    SsrcGroup::new(group.semantics, ssrcs)
}

/// The rules for all that one endpoint sends, with what it has just added.
fn validate(
    described: &EndpointSources,
    fresh: &BTreeSet<Ssrc>,
    count_max: usize,
) -> Result<(), Refusal> {
    let count = |of: fn(&MediaSources) -> usize| -> usize {
        MEDIA.iter().map(|media| of(described.of(*media))).sum()
    };
    if count(|m| m.sources.len()) > count_max || count(|m| m.groups.len()) > count_max {
        return Err(Refusal::TooMany(count_max));
    }
    for media in MEDIA.map(|media| described.of(media)) {
        let (mut msids, mut names) = (BTreeMap::new(), BTreeMap::new());
        for source in &media.sources {
            let msid = source.msid.as_deref().filter(|msid| !msid.is_empty());
            if *names.entry(&source.name).or_insert(msid) != msid {
                return Err(Refusal::MixedSource);
            }
            if let Some(msid) = msid
                && *msids.entry(msid).or_insert(&source.name) != &source.name
            {
                return Err(Refusal::MsidInUse);
            }
        }
        media
            .groups
            .iter()
            .try_for_each(|group| validate_group(media, group))?;
        let mut grouped = BTreeSet::new();
        for group in &media.groups {
            let twice = group.ssrcs.iter();
            let twice = twice.filter(|ssrc| !grouped.insert((group.semantics, **ssrc)));
            if let Some(ssrc) = twice.copied().next() {
                return Err(Refusal::GroupedTwice(ssrc));
            }
        }
        let added = media.sources.iter();
        let added = added.filter(|source| fresh.contains(&source.ssrc));
        let names: BTreeSet<_> = added.map(|source| &source.name).collect();
        if !names.into_iter().all(|name| is_joined(media, name)) {
            return Err(Refusal::Ungrouped);
        }
    }
    Ok(())
}

/// Whether all SSRCs of that name hang together by groups.
fn is_joined(media: &MediaSources, name: &Option<String>) -> bool {
    let named = media.sources.iter().filter(|source| source.name == *name);
    let mut apart: BTreeSet<Ssrc> = named.map(|source| source.ssrc).collect();
    let mut reached: Vec<Ssrc> = apart.pop_first().into_iter().collect();
    while let Some(ssrc) = reached.pop() {
        let groups = media.groups.iter().filter(|g| g.ssrcs.contains(&ssrc));
        for member in groups.flat_map(|group| &group.ssrcs) {
            if apart.remove(member) {
                reached.push(*member);
            }
        }
    }
    apart.is_empty()
}

fn validate_group(media: &MediaSources, group: &SsrcGroup) -> Result<(), Refusal> {
    let is_pair = group.semantics != Semantics::Retransmission || group.ssrcs.len() == 2;
    let member = |ssrc: &Ssrc| media.sources.iter().find(|source| source.ssrc == *ssrc);
    let members: Option<Vec<_>> = group.ssrcs.iter().map(member).collect();
    let members = members.filter(|_| is_pair).ok_or(Refusal::Group)?;
    let first = members.first().ok_or(Refusal::Group)?;
    let has_msid = first.msid.as_ref().is_some_and(|msid| !msid.is_empty());
    if has_msid
        && members
            .iter()
            .all(|m| m.name == first.name && m.msid == first.msid)
    {
        Ok(())
    } else {
        Err(Refusal::Group)
    }
}

/// The SSRCs put together to sources, in the order of their names.
fn model_sources(media: MediaType, described: &MediaSources) -> Vec<(Source, Option<String>)> {
    let groups = |semantics| {
        let groups = described
            .groups
            .iter()
            .filter(move |group| group.semantics == semantics);
        groups.map(|group| group.ssrcs.as_slice())
    };
    let rtx: BTreeMap<Ssrc, Ssrc> = groups(Semantics::Retransmission)
        .filter_map(|ssrcs| Some((*ssrcs.first()?, *ssrcs.get(1)?)))
        .collect();
    let secondary: BTreeSet<Ssrc> = rtx.values().copied().collect();
    let mut by_name: BTreeMap<&str, Vec<&SourceDescription>> = BTreeMap::new();
    for source in &described.sources {
        by_name
            .entry(source.name.as_deref().unwrap_or_default())
            .or_default()
            .push(source);
    }
    let source = |(name, ssrcs): (&str, Vec<&SourceDescription>)| {
        let first = *ssrcs.first()?;
        let is_mine = |ssrc: &Ssrc| ssrcs.iter().any(|source| source.ssrc == *ssrc);
        let layers = groups(Semantics::Simulcast).find(|group| group.iter().all(is_mine));
        let primaries: Vec<Ssrc> = match layers {
            Some(layers) => layers.to_vec(),
            None => {
                let primaries = ssrcs.iter().map(|source| source.ssrc);
                primaries.filter(|ssrc| !secondary.contains(ssrc)).collect()
            }
        };
        let count_max = if media == MediaType::Audio {
            1
        } else {
            usize::MAX
        };
        let encoding = |primary: Ssrc| Encoding {
            primary,
            rtx: rtx.get(&primary).copied(),
        };
        let source = Source {
            name: name.parse().ok()?,
            media,
            video_type: first.video_type,
            encodings: primaries
                .into_iter()
                .take(count_max)
                .map(encoding)
                .collect(),
        };
        (!source.encodings.is_empty()).then(|| (source, first.msid.clone()))
    };
    by_name.into_iter().filter_map(source).collect()
}

fn announce(source: &Source, msid: &Option<String>) -> Option<Announced> {
    Some(Announced {
        media: source.media,
        name: source.name.clone(),
        msid: msid.clone(),
        video_type: source.video_type,
        encoding: *source.encodings.first()?,
    })
}

const MEDIA: [MediaType; 2] = [MediaType::Audio, MediaType::Video];
const MSID_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests;
