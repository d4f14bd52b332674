//! Claims 3 to 6: what is sent arrives, whole, from whom it is said to be, and nothing else does.

use super::*;
use tertulia_client::ChannelKind;
use tertulia_client::media::Flaw;

impl Checkers {
    /// Claim 3: between two people whose media has been undisturbed for a moment, everything that
    /// is sent and wanted arrives and is played, and each knows exactly what the other sends.
    pub(super) fn claim_3_every_expected_source_arrives(&mut self, world: &World) {
        for complaint in missing(world, MEDIA_SETTLES) {
            self.complain(format!("claim 3: {complaint}"));
        }
        self.check_sources(world);
        self.check_owners(world);
    }

    /// Part of claim 3: no source of somebody who is not there, none of what nobody sends.
    fn check_sources(&mut self, world: &World) {
        let now = world.now().mono;
        for viewer in present(world).filter(|viewer| viewer.person.past.media_since.is_some()) {
            let v = viewer.index();
            let seen = viewer.client.occupants();
            for source in viewer.client.remote_sources() {
                let owner = source.name.owner();
                let what = format!("source p{v} {}", source.name);
                // A stream of the bridge that is not used keeps the name of its last owner.
                let is_shared = viewer.person.habits.has_ssrc_rewriting;
                let is_used = !is_shared || is_recent(source.facts.last_packet, now);
                let is_known = seen.contains_key(owner) && !is_unsent(world, &source.name);
                let is_wrong = is_used && !is_known;
                if self.patience.is_over(&what, is_wrong, now, SOURCES_SETTLE) {
                    let name = anonymous(world, &source.name);
                    self.complain(format!("claim 3: p{v} knows {name}, which nobody sends"));
                }
            }
        }
    }

    /// Part of claim 3: where the bridge passes streams on, each carries what the bridge says.
    fn check_owners(&mut self, world: &World) {
        let now = world.now().mono;
        for viewer in present(world).filter(|viewer| viewer.person.habits.has_ssrc_rewriting) {
            let v = viewer.index();
            for source in viewer.client.remote_sources() {
                let is_fresh = is_recent(source.facts.last_packet, now);
                let is_wrong = is_fresh && !is_owners(world, &source);
                let what = format!("owner p{v} {}", source.name);
                let limit = viewer.person.obeyed_within() + NEWS;
                if self.patience.is_over(&what, is_wrong, now, limit) {
                    let name = anonymous(world, &source.name);
                    self.complain(format!(
                        "claim 3: p{v} gets somebody else's media as {name}"
                    ));
                }
            }
        }
    }

    /// Claim 4: a stream comes as it was sent: sequence numbers without holes but for what a link
    /// lost, timestamps and picture ids in order, each frame once and whole, decodable, and a key
    /// frame first, at the start and after each switch.
    pub(super) fn claim_4_streams_are_whole(&mut self, world: &World) {
        for (index, at, notice) in &world.notices {
            let Notice::Flaw(source, flaw) = notice else {
                continue;
            };
            let (Flaw::Gap { since, .. } | Flaw::NoKeyAtStart { since }) = flaw else {
                self.complain(format!(
                    "claim 4: p{index}: {}: {flaw:?}",
                    anonymous(world, source)
                ));
                continue;
            };
            // Media may come before its announcement, which waits for a lost socket; what nobody
            // has announced is not received, while a packet before it that comes late is. And what
            // a stream began with in the dark is gone when its last packets are sent again.
            let past = &world.people[*index].past;
            let disturbed = past.last_disturbed.max(past.last_dark);
            let was_deaf = disturbed.is_some_and(|last| *at < last + Duration::from_secs(20));
            let is_start = match flaw {
                Flaw::NoKeyAtStart { .. } => true,
                _ => began_with(world, *index, source, *since),
            };
            if is_start && was_deaf {
                continue;
            }
            // The same without a lost socket: the bridge does not wait until it knows that the
            // announcement has arrived, nor does Jitsi's. And str0m, unlike browsers, takes nothing
            // older than the first packet that it saw. The client asks for another key frame.
            let is_first = matches!(flaw, Flaw::NoKeyAtStart { .. });
            if is_first && was_refused(world, *index, source, *since, *at) {
                continue;
            }
            // What is overtaken by others, and by a decision that it must not be sent, is not
            // passed on any more.
            if was_forbidden(world, source, *since, *at) {
                continue;
            }
            if !was_lost(world, *index, source, *since, *at) {
                let flaw = match flaw {
                    Flaw::Gap { missing, .. } => format!("{missing} packets missing"),
                    _ => "no key frame at the start".to_owned(),
                };
                self.complain(format!(
                    "claim 4: p{index}: {}: {flaw}, and no link lost any",
                    anonymous(world, source)
                ));
            }
        }
    }

    /// Claim 5: nobody receives video that it said it does not want, or larger than it said, or
    /// from more sources than it said.
    pub(super) fn claim_5_nothing_unasked_arrives(&mut self, world: &World) {
        let now = world.now().mono;
        for viewer in present(world) {
            let v = viewer.index();
            let past = &viewer.person.past;
            let asked = past
                .constraints_since
                .zip(past.channel_since)
                .map(|(a, b)| a.max(b));
            let in_force = asked.map(|since| since + viewer.person.obeyed_within());
            // What was said on a data channel in the dark is said again some time later.
            let was_dark = past
                .last_dark
                .filter(|_| viewer.person.channel_kind == ChannelKind::Data);
            let in_force = in_force.max(was_dark.map(|last| last + SAID_AGAIN));
            let constraints = viewer.client.constraints();
            let mut recent = 0;
            for source in viewer.client.remote_sources() {
                let is_obeyed = |at: Option<Instant>| {
                    at.is_some_and(|at| in_force.is_some_and(|from| at > from))
                };
                let is_of_owner = source.media == MediaType::Video && is_owners(world, &source);
                if !is_of_owner || !is_obeyed(source.facts.last_packet) {
                    continue;
                }
                recent += i32::from(is_recent(source.facts.last_packet, now));
                let height = constraints.height(source.name.as_str());
                self.check_height(world, v, &source, height, asked);
            }
            // While one goes and another comes, both were there a moment ago.
            let is_over = constraints.last_n >= 0
                && recent > constraints.last_n
                && in_force.is_some_and(|from| now > from);
            let what = format!("last-n p{v}");
            if self
                .patience
                .is_over(&what, is_over, now, Duration::from_secs(2))
            {
                let last_n = constraints.last_n;
                self.complain(format!(
                    "claim 5: p{v} gets {recent} videos, asked for {last_n}"
                ));
            }
        }
    }

    /// Part of claim 5, for one stream that arrives.
    fn check_height(
        &mut self,
        world: &World,
        v: usize,
        source: &RemoteSource,
        height: i32,
        asked: Option<Instant>,
    ) {
        let now = world.now().mono;
        let owner = owner_of(world, source.name.owner());
        let packets = source.facts.packets;
        // A retransmission of what was lost before may still come.
        let key = (v, source.name.clone());
        let before = self.unasked.entry(key).or_insert((asked, packets));
        // What was lost in the dark is sent again when it is asked for, or as padding.
        let last_dark = world.people.get(v).and_then(|person| person.past.last_dark);
        let is_resent = last_dark.is_some_and(|last| now < last + RESENT);
        if before.0 != asked || is_resent {
            *before = (asked, packets);
        }
        if height == 0 {
            if packets >= before.1 + UNASKED_MAX {
                self.complain(format!("claim 5: p{v} gets unwanted video of p{owner}"));
            }
            return;
        }
        // Of a stream that has stopped the last picture stays.
        let is_too_large = is_recent(source.facts.last_packet, now)
            && height > 0
            && source.facts.layer > 0
            && i32::from(source.facts.height) > height;
        // When bandwidth is divided while the sender's smallest encoding is not coming, the next
        // one is the smallest there is, until bandwidth is divided again.
        let what = format!("height p{v} {}", source.name);
        if self
            .patience
            .is_over(&what, is_too_large, now, DIVIDED_WITHIN)
        {
            let lines = source.facts.height;
            self.complain(format!(
                "claim 5: p{v} gets too large video of p{owner}: {lines} lines, asked for {height}"
            ));
        }
    }

    /// Claim 6: a media session ends with its membership, and some time after its last partner
    /// has gone.
    pub(super) fn claim_6_media_sessions_end(&mut self, world: &World) {
        let now = world.now().mono;
        let limit = world.config.conference.focus.single_participant_timeout + NEWS;
        for person in present(world) {
            let is_alone = person
                .person
                .past
                .alone_since
                .is_some_and(|since| now > since + limit);
            if is_alone && person.client.is_in_call() {
                let index = person.index();
                self.complain(format!("claim 6: p{index} is alone and still in a session"));
            }
        }
    }
}

/// What should arrive between people whose media has been undisturbed for `settled`, and does not.
pub(super) fn missing(world: &World, settled: Duration) -> Vec<String> {
    let now = world.now().mono;
    let has = |since: Option<Instant>| since.is_some_and(|since| now >= since + settled);
    let ready: Vec<Present<'_>> = present(world)
        .filter(|p| has(p.person.past.media_since))
        .collect();
    let mut missing = Vec::new();
    for viewer in &ready {
        let sources = viewer.client.remote_sources();
        let (v, constraints) = (viewer.index(), viewer.client.constraints());
        if waits_for_maps(viewer.person, now, settled) {
            continue;
        }
        let is_enough = constraints.last_n < 0
            || usize::try_from(constraints.last_n).is_ok_and(|n| n >= videos(world));
        for other in ready.iter().filter(|other| viewer.is_with(other)) {
            let o = other.index();
            for (name, _) in other.client.own_sources() {
                let Some(kind) = kind_of(&name) else { continue };
                if is_silent(world, other, kind, settled) {
                    continue;
                }
                let source = sources.iter().find(|source| source.name == name);
                let source = source.filter(|source| is_owners(world, source));
                let last = source.and_then(|source| source.facts.last_frame);
                if kind == MediaKind::Audio {
                    if last.is_none_or(|at| now > at + SILENCE) {
                        let why = why_not(world, &sources, &name, now);
                        missing.push(format!("p{v} does not hear p{o}: {why}"));
                    }
                    continue;
                }
                let is_wanted = constraints.height(name.as_str()) != 0 && is_enough;
                let is_old = has(viewer.person.past.constraints_since);
                if is_wanted && is_old && last.is_none_or(|at| now > at + FREEZE) {
                    let forwarded = viewer.client.forwarded_sources();
                    let says = match forwarded.is_some_and(|list| has_name(list, &name)) {
                        true => "sends it",
                        false => "does not send it",
                    };
                    let what = match kind {
                        MediaKind::Desktop => "see the screen of",
                        _ => "see",
                    };
                    let why = why_not(world, &sources, &name, now);
                    missing.push(format!(
                        "p{v} does not {what} p{o} move: {why}, and the bridge says it {says}"
                    ));
                }
            }
        }
    }
    missing
}

/// How far a source is from being played.
fn why_not(
    world: &World,
    sources: &[RemoteSource],
    name: &SourceName,
    now: Instant,
) -> &'static str {
    let Some(source) = sources.iter().find(|source| source.name == *name) else {
        return "it knows no such source";
    };
    if source.facts.packets == 0 {
        "nothing ever came"
    } else if !is_recent(source.facts.last_packet, now) {
        "nothing comes any more"
    } else if !is_owners(world, source) {
        "somebody else's packets come"
    } else {
        "its packets cannot be played"
    }
}

/// Whose the bridge's streams are comes by the bridge channel; what was said on a data channel in
/// the dark is said again some time later.
fn waits_for_maps(viewer: &Person, now: Instant, settled: Duration) -> bool {
    if !viewer.habits.has_ssrc_rewriting {
        return false;
    }
    let past = &viewer.past;
    let is_told = past
        .channel_since
        .is_some_and(|since| now >= since + settled);
    let is_data = viewer.channel_kind == ChannelKind::Data;
    let last_dark = past.last_dark.filter(|_| is_data);
    !is_told || last_dark.is_some_and(|last| now < last + SAID_AGAIN)
}

/// Whether nobody can expect anything of this kind of somebody now.
fn is_silent(world: &World, other: &Present<'_>, kind: MediaKind, settled: Duration) -> bool {
    let now = world.now().mono;
    let is_off = match kind {
        MediaKind::Audio => other.client.is_muted(MediaType::Audio),
        MediaKind::Video => other.client.is_muted(MediaType::Video),
        MediaKind::Desktop => !other.client.is_screen_shared(),
    };
    let switched = other.person.past.switched.get(&kind).copied();
    let changed = switched.max(world.story.last_change_of(other.index(), kind));
    let changed = changed.max(other.person.past.role_changed);
    let is_fresh = changed.is_some_and(|since| now < since + settled);
    is_off || is_fresh || !other.client.may_unmute(kind)
}

/// With a last-N, whoever was there a moment ago may still take a place, and so may a page that died
/// without the server's knowing, beside the one that its owner has opened since.
fn videos(world: &World) -> usize {
    let now = world.now().mono;
    let is_there = |until: Option<Instant>| until.is_none_or(|until| now < until + MEDIA_SETTLES);
    let places = |person: &Person| {
        let nicks = person.past.nicks.iter();
        let nicks = nicks.filter(|(_, until)| is_there(*until)).count();
        let client = person.client.as_ref();
        let is_shared = client.is_none_or(Client::is_screen_shared);
        nicks.max(1) * (usize::from(person.has_camera) + usize::from(is_shared))
    };
    let counts = |person: &&Person| {
        let until = person.past.nicks.last().and_then(|(_, until)| *until);
        is_there(until)
    };
    world.people.iter().filter(counts).map(places).sum()
}

/// Whether a link between the sender of `source` and this receiver lost anything around then. Where
/// the bridge passes streams on, it may have been anybody's.
fn was_lost(
    world: &World,
    receiver: usize,
    source: &SourceName,
    since: Instant,
    at: Instant,
) -> bool {
    let sender = owner_of(world, source.owner());
    let from = since.checked_sub(LOSS_SLACK).unwrap_or(since);
    let has_lost = |link: &crate::network::Link| link.lost_between(from, at);
    let is_shared = world.people[receiver].habits.has_ssrc_rewriting;
    let mut senders = world.people.iter();
    let is_up_lost = senders.any(|person| {
        let counts = is_shared || person.index == sender;
        counts && has_lost(&person.up)
    });
    is_up_lost || has_lost(&world.people[receiver].down)
}

/// Whether packets of a source overtake each other on their way to the bridge, and it was forbidden,
/// or muted, around then.
fn was_forbidden(world: &World, source: &SourceName, since: Instant, at: Instant) -> bool {
    let sender = world.people.get(owner_of(world, source.owner()));
    let (Some(sender), Some(kind)) = (sender, kind_of(source)) else {
        return false;
    };
    let muted = world.story.muted.get(&(sender.index, kind)).copied();
    let changed = muted.max(world.story.last_change_of(sender.index, kind));
    let from = since.checked_sub(NEWS).unwrap_or(since);
    let is_then = changed.is_some_and(|changed| (from..=at).contains(&changed));
    is_then && sender.up.quality().reorder_gap.is_some()
}

/// Whether packets with which a stream began came around then, and the receiver did not take them.
fn was_refused(
    world: &World,
    receiver: usize,
    source: &SourceName,
    since: Instant,
    at: Instant,
) -> bool {
    let Person { client, past, .. } = &world.people[receiver];
    let from = since.checked_sub(LOSS_SLACK).unwrap_or(since);
    let sources = client.as_ref().map(Client::remote_sources);
    let sources = sources.into_iter().flatten();
    sources.filter(|known| known.name == *source).any(|stream| {
        let refused = past.refused.get(&stream.ssrc);
        refused.is_some_and(|refused| (from..=at).contains(refused))
    })
}

/// Whether a stream began with what was played last before `since`.
fn began_with(world: &World, receiver: usize, source: &SourceName, since: Instant) -> bool {
    let client = world.people[receiver].client.as_ref();
    let sources = client.map(Client::remote_sources).unwrap_or_default();
    let first = sources.iter().find(|known| known.name == *source);
    let first = first.and_then(|known| known.facts.first_frame);
    first.is_some_and(|first| since <= first + OVERTAKEN)
}

/// Whether the owner of a source is there and does not send it.
fn is_unsent(world: &World, name: &SourceName) -> bool {
    let owner = world.people.get(owner_of(world, name.owner()));
    let Some(owner) = owner.filter(|owner| owner.nick() == Some(name.owner())) else {
        return false;
    };
    let client = owner.client.as_ref().filter(|client| client.is_in_call());
    client.is_some_and(|client| client.own_sources().iter().all(|(own, _)| own != name))
}

/// Whether the newest packet of a stream is of the source under whose name it runs.
pub(super) fn is_owners(world: &World, source: &RemoteSource) -> bool {
    let Some(origin) = source.facts.origin else {
        return true;
    };
    let owner = world.people.get(owner_of(world, source.name.owner()));
    let Some(client) = owner.and_then(|owner| owner.client.as_ref()) else {
        return true;
    };
    let own = client.own_sources();
    let found = own.iter().find(|(name, _)| *name == source.name);
    found.is_none_or(|(_, ssrc)| *ssrc == origin)
}

pub(super) fn kind_of(name: &SourceName) -> Option<MediaKind> {
    match name.as_str().rsplit('-').next()? {
        "a0" => Some(MediaKind::Audio),
        "v0" => Some(MediaKind::Video),
        "v1" => Some(MediaKind::Desktop),
        _ => None,
    }
}

fn has_name(list: &[String], name: &SourceName) -> bool {
    list.iter().any(|one| one == name.as_str())
}

fn is_recent(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| now < at + Duration::from_millis(500))
}

/// Bandwidth is divided anew at least so often, with some slack (`bridge.allocation`).
const DIVIDED_WITHIN: Duration = Duration::from_secs(6);
/// Time for news of sources, which wait for lost sockets and crashed senders.
const SOURCES_SETTLE: Duration = Duration::from_secs(6);
/// Longest silence and longest frozen picture in undisturbed media.
const SILENCE: Duration = Duration::from_secs(2);
const FREEZE: Duration = Duration::from_secs(5);
/// Longest pause of a data channel after the dark.
const SAID_AGAIN: Duration = Duration::from_secs(30);
/// So long after the dark what was lost in it may be sent again.
const RESENT: Duration = Duration::from_secs(20);
/// By so much one packet overtakes another at most, with some slack.
const OVERTAKEN: Duration = Duration::from_millis(50);
const LOSS_SLACK: Duration = Duration::from_secs(3);
/// Fewer packets of an unwanted stream than these are no stream.
pub(super) const UNASKED_MAX: u64 = 10;
