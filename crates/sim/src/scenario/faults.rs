//! Who comes and goes, and what breaks.

use tertulia_client::{ChannelKind, Comeback, Habits, RequestKind, VideoConfig};

use super::*;
use crate::network::Quality;
use crate::person::Plan;

impl Sim {
    pub(super) fn fault(&mut self) {
        let everybody = self.taking_part();
        match self.rng.u32(0..62) {
            0..12 if everybody.len() < PEOPLE_MAX => drop(self.join()),
            12..18 if everybody.len() > 1 => self.somebody_goes(&everybody),
            18..23 if everybody.len() > 1 => self.somebody_crashes(&everybody),
            23..30 => self.somebody_reloads(&everybody),
            30..42 => self.somebody_loses_its_socket(&everybody),
            42..48 if self.kills_left > 0 => self.server_goes(),
            48..54 => self.media_breaks(&everybody),
            _ => self.weather_changes(&everybody),
        }
    }

    pub(super) fn join(&mut self) -> usize {
        let ms = Duration::from_millis;
        let latency = self.rng.u64(3..60);
        let loss = self.draw_loss();
        let quality = Quality {
            latency: ms(latency),
            jitter: ms(self.rng.u64(0..=latency.min(15))),
            loss: self.sabotage.map_or(loss, |sabotage| sabotage.loss(loss)),
            reorder_gap: (self.rng.u32(0..4) == 0).then(|| self.rng.u32(8..40)),
            ..Quality::default()
        };
        let camera = self.sabotage.and_then(Sabotage::camera);
        let is_socket = self.rng.bool() || self.sabotage.is_some_and(Sabotage::needs_sockets);
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let plan = Plan {
            channel: if is_socket {
                ChannelKind::WebSocket
            } else {
                ChannelKind::Data
            },
            request: if self.rng.bool() {
                RequestKind::Iq
            } else {
                RequestKind::Http
            },
            has_camera: self.rng.u32(0..6) > 0,
            habits: self.draw_habits(),
            video: VideoConfig::modest,
            camera,
            quality,
            seed,
            link_seeds: [self.rng.u64(..), self.rng.u64(..)],
        };
        self.world.join(&plan)
    }

    fn draw_habits(&mut self) -> Habits {
        let is_first = self.world.people.is_empty();
        let comeback = if self.rng.bool() {
            Comeback::Rebind
        } else {
            Comeback::Reload {
                after: Duration::from_millis(self.rng.u64(300..2_500)),
                into_breakout_room: self.rng.bool(),
            }
        };
        let rewrites = self.rng.bool() || self.sabotage == Some(Sabotage::LostMaps);
        let is_defiant = self.rng.u32(0..8) == 0 || self.sabotage == Some(Sabotage::DeafBridge);
        Habits {
            prefers_visitor: !is_first && self.rng.u32(0..10) == 0,
            starts_audio_muted: self.rng.u32(0..8) == 0,
            starts_video_muted: self.rng.u32(0..8) == 0,
            has_ssrc_rewriting: rewrites,
            has_ice_restart: self.rng.bool(),
            is_defiant: !is_first && is_defiant,
            comeback,
            ..Habits::default()
        }
    }

    pub(super) fn draw_loss(&mut self) -> f32 {
        match self.weather {
            Weather::Clear => 0.0,
            Weather::Lossy(most) => self.rng.f32() * most,
        }
    }

    fn somebody_goes(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        if self.rng.bool() {
            self.world.leave(index);
        } else {
            self.world.close_tab(index);
        }
    }

    fn somebody_crashes(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        let loss = if self.rng.bool() {
            Loss::Silent
        } else {
            Loss::Seen
        };
        self.world.crash(index, loss);
        if self.rng.bool() {
            let pause = self.rng.u64(200..6_000);
            self.later(pause, Reaction::ComeBack(index));
        }
    }

    /// Once, or as somebody who loses patience with its browser.
    fn somebody_reloads(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        let times = if self.rng.u32(0..6) == 0 { 12 } else { 1 };
        for _ in 0..times {
            let loss = match self.rng.u32(0..5) {
                0 => Loss::Silent,
                _ => Loss::Seen,
            };
            self.world.reload(index, loss);
            let pause = self.rng.u64(50..400);
            self.pass(pause);
        }
    }

    fn somebody_loses_its_socket(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        let loss = match self.rng.u32(0..5) {
            0 => Loss::Silent,
            1 | 2 => Loss::SeenByBrowser,
            _ => Loss::Seen,
        };
        self.world.lose_socket(index, loss);
    }

    pub(super) fn server_goes(&mut self) {
        self.kills_left -= 1;
        match self.rng.u32(0..5) {
            0 | 1 => self.world.stop_server(),
            2 => self.world.kill_server(Loss::Silent),
            _ => self.world.kill_server(Loss::Seen),
        }
        let down = self.rng.u64(300..3_000);
        self.pass(down);
        self.world.start_server();
    }

    fn media_breaks(&mut self, everybody: &[usize]) {
        let Some(index) = self.choose(everybody) else {
            return;
        };
        let is_dark = self.world.people[index].up.is_dark;
        if self.doomed != Some(index) {
            self.world.set_blackout(index, !is_dark);
        }
    }

    fn weather_changes(&mut self, everybody: &[usize]) {
        for index in everybody {
            let loss = self.draw_loss();
            let person = &mut self.world.people[*index];
            let loss = self.sabotage.map_or(loss, |sabotage| sabotage.loss(loss));
            person.up.set_loss(loss);
            person.down.set_loss(loss);
        }
    }
}
