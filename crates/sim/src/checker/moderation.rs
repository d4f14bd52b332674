//! Claim 16: what A/V moderation forbids.

use super::*;

impl Checkers {
    /// Claim 16: what somebody may not send reaches nobody, even if it sends it.
    pub(super) fn claim_16_forbidden_media_reaches_nobody(&mut self, world: &World) {
        let now = world.now().mono;
        let settled = settled(world);
        let mut complaints = Vec::new();
        for sender in &settled {
            let o = sender.index();
            for (name, _) in sender.client.own_sources() {
                let Some(kind) = media::kind_of(&name) else {
                    continue;
                };
                let is_forbidden = is_forbidden(world, sender, kind, now);
                for viewer in settled.iter().filter(|viewer| viewer.is_with(sender)) {
                    let v = viewer.index();
                    let key = (v, name.clone());
                    let sources = viewer.client.remote_sources();
                    let source = sources.iter().find(|source| source.name == name);
                    let source = source.filter(|source| media::is_owners(world, source));
                    let Some(source) = source.filter(|_| is_forbidden) else {
                        self.forbidden.remove(&key);
                        continue;
                    };
                    let packets = source.facts.packets;
                    let before = *self.forbidden.entry(key).or_insert(packets);
                    if packets < before {
                        // Another session, which counts from nothing.
                        self.forbidden.insert((v, name.clone()), packets);
                    } else if packets > before + media::UNASKED_MAX {
                        let kind = kind.as_str();
                        complaints.push(format!(
                            "claim 16: p{v} gets {kind} of p{o}, who may not send it"
                        ));
                    }
                }
            }
        }
        complaints.into_iter().for_each(|c| self.complain(c));
    }
}

/// Whether somebody has known for a while that it may not send this.
fn is_forbidden(world: &World, sender: &Present<'_>, kind: MediaKind, now: Instant) -> bool {
    let state = sender.client.moderation(kind);
    let changed = world.story.last_change_of(sender.index(), kind);
    let is_old = changed.is_none_or(|at| now > at + NEWS + NEWS);
    // Whoever moderated when it was turned on stays allowed, as in Jitsi's own.
    let was_moderator = sender.person.past.last_moderator.is_some();
    state.is_enabled && !state.is_approved && is_old && !was_moderator
}
