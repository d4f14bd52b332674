//! What is not forwarded because the worker does not keep up.

use super::{Conference, Cx};

impl Conference {
    /// Leaves out a video packet of a source. Its receivers get a key frame first when there is
    /// time for it again; they need not know of what was left out.
    pub(super) fn shed(&mut self, cx: &mut Cx<'_>, source: usize) {
        cx.statistics.dropped.behind += 1;
        for seat in self.seats.iter_mut().flatten() {
            if let Some(Some(leg)) = seat.legs.get_mut(source) {
                leg.pause();
            }
        }
    }
}
