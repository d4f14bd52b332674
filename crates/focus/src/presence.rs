//! What the focus shows of itself and of the meeting in the room.

use std::time::Duration;

use tertulia_model::MediaType;
use tertulia_model::Now;
use tertulia_stanza::{Element, WithAttribute, ns, text_element};

use crate::timer::Timer;
use crate::{Focus, Output};

/// The part of a meeting's state that everybody sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    is_bridge_missing: bool,
    has_visitors: bool,
    visitors: usize,
    is_audio_limit_reached: bool,
    is_video_limit_reached: bool,
}

impl Focus {
    /// Whether people may come as visitors. Clients of participants show it.
    pub fn set_has_visitors(&mut self, now: Now, has_visitors: bool) {
        self.has_visitors = has_visitors;
        self.show(now);
    }

    /// What the focus shows of itself in the room.
    pub fn presence(&self) -> Vec<Element> {
        let shown = &self.shown;
        let flag = |key, value: bool| Some((key, value.to_string()));
        let has_visitors = shown.has_visitors || shown.visitors > 0;
        let properties = [
            flag("support-terminate-restart", true),
            Some((
                "bridge-count",
                u8::from(!shown.is_bridge_missing).to_string(),
            )),
            flag("audio-limit-reached", shown.is_audio_limit_reached),
            flag("video-limit-reached", shown.is_video_limit_reached),
            flag("visitors-enabled", shown.has_visitors).filter(|_| has_visitors),
            Some(("visitor-count", shown.visitors.to_string())).filter(|_| has_visitors),
        ];
        let property = |(key, value): (&str, String)| {
            Element::builder("property", ns::FOCUS)
                .with("key", key)
                .with("value", value)
                .build()
        };
        let properties = Element::builder("conference-properties", ns::FOCUS)
            .append_all(properties.into_iter().flatten().map(property))
            .build();
        let component = Element::builder("component", ns::JITSI_MEET)
            .with("name", "focus")
            .append(env!("CARGO_PKG_VERSION"))
            .build();
        let versions = Element::builder("versions", ns::JITSI_MEET)
            .append(component)
            .build();
        let missing = shown
            .is_bridge_missing
            .then(|| text_element("bridgeNotAvailable", ns::FOCUS, ""));
        [versions, properties].into_iter().chain(missing).collect()
    }

    /// Shows what has changed. The number of visitors waits a while after each time: when hundreds
    /// come at once, everybody is told a few times, not hundreds of times.
    pub(crate) fn show(&mut self, now: Now) {
        let visitors = self.participants.values().filter(|p| p.is_visitor).count();
        let mut fresh = Shown {
            is_bridge_missing: self.is_bridge_missing,
            has_visitors: self.has_visitors,
            visitors,
            is_audio_limit_reached: self.is_sender_limit_reached(MediaType::Audio, None),
            is_video_limit_reached: self.is_sender_limit_reached(MediaType::Video, None),
        };
        if self.participants.is_empty() {
            self.timers.cancel(&Timer::Visitors);
        } else if visitors != self.shown.visitors {
            if self.timers.is_set(&Timer::Visitors) {
                fresh.visitors = self.shown.visitors;
            } else {
                let at = now.mono + VISITORS_INTERVAL;
                self.timers.set(Timer::Visitors, at);
            }
        }
        if fresh != self.shown {
            self.shown = fresh;
            self.outputs.push_back(Output::PresenceChanged);
        }
    }
}

const VISITORS_INTERVAL: Duration = Duration::from_secs(1);
