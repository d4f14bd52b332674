//! A task's mailbox with two lanes (DESIGN 10): stanzas are bounded and may be refused; control
//! messages never are, since what can send them is bounded already.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// One thing out of a mailbox.
pub(crate) enum Mail<S, C> {
    Stanza(S),
    Control(C),
}

/// The sending side; cheap to clone.
pub(crate) struct MailSender<S, C> {
    stanzas: mpsc::Sender<S>,
    control: mpsc::UnboundedSender<C>,
}

impl<S, C> Clone for MailSender<S, C> {
    fn clone(&self) -> Self {
        MailSender {
            stanzas: self.stanzas.clone(),
            control: self.control.clone(),
        }
    }
}

impl<S, C> MailSender<S, C> {
    /// Puts a message into the bounded lane, or hands it back.
    pub(crate) fn try_stanza(&self, mail: S) -> Result<(), TrySendError<S>> {
        self.stanzas.try_send(mail)
    }

    /// Puts a message into the lane that never refuses; hands it back when the task is gone.
    pub(crate) fn control(&self, mail: C) -> Result<(), C> {
        self.control.send(mail).map_err(|gone| gone.0)
    }

    /// The bounded lane itself, for those who wait for a place in it.
    pub(crate) fn lane(&self) -> mpsc::Sender<S> {
        self.stanzas.clone()
    }
}

/// The receiving side.
pub(crate) struct Mailbox<S, C> {
    stanzas: mpsc::Receiver<S>,
    control: mpsc::UnboundedReceiver<C>,
}

impl<S, C> Mailbox<S, C> {
    /// An empty mailbox whose bounded lane holds `capacity` messages.
    pub(crate) fn new(capacity: usize) -> (MailSender<S, C>, Mailbox<S, C>) {
        let (stanzas, stanzas_out) = mpsc::channel(capacity);
        let (control, control_out) = mpsc::unbounded_channel();
        let mailbox = Mailbox {
            stanzas: stanzas_out,
            control: control_out,
        };
        (MailSender { stanzas, control }, mailbox)
    }

    /// The next message; control goes first. None when nobody can send any more. Cancel safe.
    pub(crate) async fn recv(&mut self) -> Option<Mail<S, C>> {
        tokio::select! {
            biased;
            Some(control) = self.control.recv() => Some(Mail::Control(control)),
            Some(stanza) = self.stanzas.recv() => Some(Mail::Stanza(stanza)),
            else => None,
        }
    }

    /// What is in the bounded lane now.
    pub(crate) fn ready_stanzas(&mut self) -> Vec<S> {
        let mut ready = Vec::new();
        // No more than there are: senders may be faster than we are.
        for _ in 0..self.stanzas.len() {
            ready.extend(self.stanzas.try_recv().ok());
        }
        ready
    }

    /// Refuses everything from now on and gives what was let in before.
    pub(crate) async fn close_and_drain(&mut self) -> Vec<Mail<S, C>> {
        self.control.close();
        self.stanzas.close();
        let mut left = Vec::new();
        // `recv` ends only when those who had reserved a place have used it or given it up.
        while let Some(mail) = self.recv().await {
            left.push(mail);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn control_overtakes_and_is_never_refused() {
        let (sender, mut mailbox) = Mailbox::<u32, u32>::new(1);
        sender.try_stanza(1).unwrap();
        assert!(matches!(sender.try_stanza(2), Err(TrySendError::Full(2))));
        for n in 0..100 {
            sender.control(n).unwrap();
        }
        assert!(matches!(mailbox.recv().await, Some(Mail::Control(0))));
        let left = mailbox.close_and_drain().await;
        assert_eq!(left.len(), 100);
        assert!(matches!(left.last(), Some(Mail::Stanza(1))));
        assert!(sender.control(1).is_err());
        assert!(matches!(sender.try_stanza(1), Err(TrySendError::Closed(1))));
    }
}
