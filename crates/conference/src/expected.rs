use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tertulia_model::{DeviceId, SessionId};
use tertulia_stanza::conference_request::ConferenceRequest;

/// Those who asked for the conference and have not come in yet. For them an empty conference
/// stays, and by them the room knows from which device somebody comes.
pub(crate) struct Expected {
    /// In the order of their end.
    asked: VecDeque<Asked>,
    /// Sessions that ended lately. The news of an end may overtake the last stanzas of a session;
    /// those must not bring anybody in who is not there any more.
    ended: VecDeque<SessionId>,
    count_max: usize,
    patience: Duration,
    /// Makes device ids worthless elsewhere.
    device_key: [u8; 32],
}

struct Asked {
    session: Option<SessionId>,
    device: Option<DeviceId>,
    is_visitor: bool,
    until: Instant,
}

impl Expected {
    pub(crate) fn new(count_max: usize, patience: Duration, device_key: [u8; 32]) -> Expected {
        Expected {
            asked: VecDeque::new(),
            ended: VecDeque::new(),
            count_max,
            patience,
            device_key,
        }
    }

    /// Somebody asks (again).
    pub(crate) fn add(
        &mut self,
        now: Instant,
        session: Option<SessionId>,
        asked: &ConferenceRequest,
    ) {
        let machine_uid = asked.machine_uid.as_deref();
        let device = machine_uid.map(|uid| self.hashed(uid));
        self.arrived_or_renewed(session, device);
        if self.asked.len() >= self.count_max {
            self.asked.pop_front();
        }
        self.asked.push_back(Asked {
            session,
            device,
            is_visitor: asked.properties.get("visitor").is_some_and(|v| v == "true"),
            until: now + self.patience,
        });
    }

    /// From which device a newcomer comes.
    pub(crate) fn device(&self, session: SessionId, machine_uid: Option<&str>) -> Option<DeviceId> {
        let told = machine_uid.map(|uid| self.hashed(uid));
        let asked = self
            .asked
            .iter()
            .find(|asked| asked.session == Some(session));
        told.or(asked.and_then(|asked| asked.device))
    }

    /// Whether a newcomer asked to look only.
    pub(crate) fn is_visitor(&self, session: SessionId, device: Option<DeviceId>) -> bool {
        let is_asker = |asked: &&Asked| match asked.session {
            Some(asker) => asker == session,
            None => device.is_some() && asked.device == device,
        };
        self.asked
            .iter()
            .filter(is_asker)
            .any(|asked| asked.is_visitor)
    }

    /// Somebody is inside.
    pub(crate) fn arrived(&mut self, session: SessionId, device: Option<DeviceId>) {
        self.arrived_or_renewed(Some(session), device);
    }

    /// The session is over.
    pub(crate) fn end(&mut self, session: SessionId) {
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(session);
        self.asked.retain(|asked| asked.session != Some(session));
    }

    /// Whether nothing of that session means anything any more.
    pub(crate) fn has_ended(&self, session: SessionId) -> bool {
        self.ended.contains(&session)
    }

    pub(crate) fn is_anybody(&self) -> bool {
        !self.asked.is_empty()
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.asked.front().map(|asked| asked.until)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while self.asked.front().is_some_and(|asked| asked.until <= now) {
            self.asked.pop_front();
        }
    }

    /// By session where it is known, else by device: two tabs of one browser ask for themselves.
    fn arrived_or_renewed(&mut self, session: Option<SessionId>, device: Option<DeviceId>) {
        self.asked.retain(|asked| match asked.session {
            Some(_) => asked.session != session,
            None => device.is_none() || asked.device != device,
        });
    }

    fn hashed(&self, machine_uid: &str) -> DeviceId {
        DeviceId::of(&self.device_key, machine_uid)
    }
}

/// Only what is under way at the same time counts.
const ENDED_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        Expected::new(3, Duration::from_secs(15), [1; 32])
    }

    fn request(machine_uid: &str) -> ConferenceRequest {
        ConferenceRequest {
            machine_uid: Some(machine_uid.to_owned()),
            ..ConferenceRequest::default()
        }
    }

    #[test]
    fn until_they_come_or_their_time_is_over() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut expected = expected();
        expected.add(at(0), Some(SessionId(1)), &request("a"));
        expected.add(at(1), Some(SessionId(2)), &request("a"));
        expected.add(at(2), None, &request("b"));
        expected.arrived(SessionId(1), expected.device(SessionId(1), None));
        assert_eq!(
            expected.next_timeout(),
            Some(at(16)),
            "the other tab is still expected"
        );
        let device = expected.device(SessionId(9), Some("b"));
        expected.arrived(SessionId(9), device);
        expected.handle_timeout(at(15));
        assert!(expected.is_anybody());
        expected.end(SessionId(2));
        assert!(!expected.is_anybody());
    }

    #[test]
    fn asking_again_renews_and_the_number_is_bounded() {
        let now = Instant::now();
        let mut expected = expected();
        for _ in 0..5 {
            expected.add(now, Some(SessionId(1)), &request("a"));
        }
        assert_eq!(expected.asked.len(), 1);
        for session in 2..9 {
            expected.add(now, Some(SessionId(session)), &ConferenceRequest::default());
        }
        assert_eq!(expected.asked.len(), 3);
    }

    #[test]
    fn devices_are_known_by_the_request_or_by_the_join() {
        let mut expected = expected();
        expected.add(Instant::now(), Some(SessionId(1)), &request("uid"));
        let device = expected.device(SessionId(1), None);
        assert!(device.is_some());
        assert_eq!(expected.device(SessionId(2), Some("uid")), device);
        assert_eq!(expected.device(SessionId(2), None), None);
    }
}
