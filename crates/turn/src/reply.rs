//! Answers, as the library writes them.

use stun_types::attribute::{AttributeType, Fingerprint};
use stun_types::attribute::{ErrorCode, Nonce, Realm, UnknownAttributes};
use stun_types::message::{
    IntegrityAlgorithm, IntegrityKey, Message, MessageClass, MessageType, MessageWrite,
    MessageWriteExt, MessageWriteVec, Method, TransactionId,
};
use stun_types::prelude::{AttributeStaticType, AttributeWrite};

/// The answer to one request, before it is known what it says.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    method: Method,
    transaction: TransactionId,
    /// The request ended with a fingerprint, so its answer does.
    has_fingerprint: bool,
    /// What the answer is signed with, once the request proved to be.
    pub(crate) key: Option<IntegrityKey>,
}

impl Reply {
    pub(crate) fn to(request: &Message<'_>) -> Reply {
        Reply {
            method: request.method(),
            transaction: request.transaction_id(),
            has_fingerprint: request.has_attribute(Fingerprint::TYPE),
            key: None,
        }
    }

    pub(crate) fn transaction(&self) -> TransactionId {
        self.transaction
    }

    pub(crate) fn success(&self, attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
        self.write(MessageClass::Success, attributes)
    }

    pub(crate) fn error(&self, code: u16) -> Vec<u8> {
        self.write(MessageClass::Error, &[&error_code(code)])
    }

    /// Attributes that must be understood and are not.
    pub(crate) fn unknown(&self, attributes: &[AttributeType]) -> Vec<u8> {
        let code = error_code(ErrorCode::UNKNOWN_ATTRIBUTE);
        self.write(
            MessageClass::Error,
            &[&code, &UnknownAttributes::new(attributes)],
        )
    }

    /// Asks for credentials, or for newer ones.
    pub(crate) fn challenge(&self, code: u16, realm: &str, nonce: &str) -> Vec<u8> {
        let code = error_code(code);
        match (Realm::new(realm), Nonce::new(nonce)) {
            (Ok(realm), Ok(nonce)) => self.write(MessageClass::Error, &[&code, &realm, &nonce]),
            // Neither is as long as an attribute may be.
            _ => self.error(ErrorCode::SERVER_ERROR),
        }
    }

    fn write(&self, class: MessageClass, attributes: &[&dyn AttributeWrite]) -> Vec<u8> {
        let kind = MessageType::from_class_method(class, self.method);
        let mut message = Message::builder(kind, self.transaction, MessageWriteVec::new());
        for attribute in attributes {
            let added = message.add_attribute(*attribute);
            added.expect("an answer is short and says everything once");
        }
        if let Some(key) = &self.key {
            let signed = message.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1);
            signed.expect("an answer is signed once");
        }
        if self.has_fingerprint {
            message.add_fingerprint().expect("it comes last");
        }
        message.finish()
    }
}

fn error_code(code: u16) -> ErrorCode {
    ErrorCode::builder(code)
        .build()
        .expect("a code from the RFC")
}
