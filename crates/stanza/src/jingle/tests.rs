use super::*;
use crate::{Kind, Stanza};

/// A session-accept with every oddity that browsers were seen to send.
const ACCEPT: &str = r#"<jingle xmlns="urn:xmpp:jingle:1" action="session-accept" sid="abc"
 initiator="tea@conference.localhost/focus" responder="u@localhost/r">
<group xmlns="urn:xmpp:jingle:apps:grouping:0" semantics="BUNDLE"><content name="audio"/><content name="video"/><content name="data"/></group>
<content creator="responder" name="audio" senders="both">
 <description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio">
  <payload-type id="111" name="opus" clockrate="48000" channels="2"><parameter name="" value="0-15"/>
   <rtcp-fb xmlns="urn:xmpp:jingle:apps:rtp:rtcp-fb:0" type="transport-cc"/></payload-type>
  <payload-type id="999" name="broken"/>
  <rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="1" uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level" senders="responder"/>
  <source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="11" name="1a2b3c4d-a0"><parameter name="cname" value="c"/><parameter name="msid" value="1a2b3c4d-audio-0 t"/></source>
  <unknown xmlns="x"/>
 </description>
 <transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="u" pwd="p">
  <fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="SHA-256" setup="active">00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF</fingerprint>
  <candidate protocol="tcp" ip="192.0.2.1" port="9"/><candidate protocol="udp" ip="x.local" port="9"/>
  <candidate protocol="udp" ip="192.0.2.1" port="9" type="srflx" rel-addr="10.0.0.1" rel-port="10" priority="7" foundation="f" id="i"/>
 </transport></content>
<content creator="responder" name="video"><description xmlns="urn:xmpp:jingle:apps:rtp:1">
  <source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="21" name="1a2b3c4d-v0" videoType="desktop"><ssrc-info xmlns="http://jitsi.org/jitmeet" owner="tea@conference.localhost/1a2b3c4d"/></source>
  <source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="22" name="1a2b3c4d-v0"/>
  <ssrc-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" semantics="FID"><source ssrc="21"/><source ssrc="22"/></ssrc-group>
  <ssrc-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" semantics="FEC"><source ssrc="21"/></ssrc-group>
 </description><initial-last-n xmlns="jitsi:colibri2" value="4"/></content>
<content creator="responder" name="data"><transport xmlns="urn:xmpp:jingle:transports:ice-udp:1">
 <sctpmap xmlns="urn:xmpp:jingle:transports:dtls-sctp:1" number="5000" protocol="webrtc-datachannel" streams="0"/></transport></content>
</jingle>"#;

fn parse(text: &str) -> Result<Jingle, InvalidJingle> {
    Jingle::parse(&text.parse().unwrap())
}

/// COMPAT(lib-jitsi-meet, Firefox): no description in `data`, nameless parameters, `senders` on
/// extensions, owners as JIDs.
#[test]
fn a_browsers_accept_is_understood() {
    let jingle = parse(ACCEPT).unwrap();
    assert_eq!(jingle.action, Action::SessionAccept);
    assert_eq!(jingle.bundle, ["audio", "video", "data"]);
    let [audio, video, data] = jingle.contents.as_slice() else {
        panic!("three contents")
    };
    let description = audio.description.as_ref().unwrap();
    assert_eq!(
        description.payload_types.len(),
        1,
        "the broken one is skipped"
    );
    assert_eq!(
        description.payload_types[0].parameters,
        [(String::new(), "0-15".to_owned())]
    );
    assert_eq!(description.header_extensions.len(), 1);
    let transport = jingle.complete_transport().unwrap();
    assert_eq!(
        transport.fingerprint.as_ref().unwrap().fingerprint.hash,
        "sha-256"
    );
    assert_eq!(
        transport.candidates.len(),
        1,
        "host names and TCP are skipped"
    );
    assert_eq!(
        transport.candidates[0].related,
        Some("10.0.0.1:10".parse().unwrap())
    );
    assert_eq!(video.initial_last_n, Some(4));
    assert_eq!(data.transport.as_ref().unwrap().sctp_streams, Some(0));

    let sources = jingle.sources("1a2b3c4d");
    assert_eq!(sources.len(), 1);
    let mine = &sources["1a2b3c4d"];
    assert_eq!(
        mine.audio.sources[0].msid.as_deref(),
        Some("1a2b3c4d-audio-0 t")
    );
    assert_eq!(mine.video.sources.len(), 2);
    assert_eq!(mine.video.sources[0].video_type, VideoType::Desktop);
    assert_eq!(mine.video.groups.len(), 1, "only FID and SIM are known");
}

#[test]
fn what_is_written_reads_back() {
    let jingle = parse(ACCEPT).unwrap();
    let again = Jingle::parse(&jingle.to_element()).unwrap();
    assert_eq!(format!("{jingle:?}"), format!("{again:?}"));
}

#[test]
fn namespaces_are_literal_attributes() {
    let mut jingle = parse(ACCEPT).unwrap();
    jingle.bridge_session = Some(BridgeSession {
        id: "b".to_owned(),
        ..BridgeSession::default()
    });
    jingle.json_sources = Some(ConferenceSources::new());
    let text = Stanza::new(Kind::Iq)
        .with_child(jingle.to_element())
        .to_string();
    let text = text.replace('\'', "\"");
    for literal in [
        "<jingle xmlns=\"urn:xmpp:jingle:1\"",
        "<transport xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\"",
        "<fingerprint xmlns=\"urn:xmpp:jingle:apps:dtls:0\"",
        "<sctpmap xmlns=\"urn:xmpp:jingle:transports:dtls-sctp:1\"",
        "<rtp-hdrext xmlns=\"urn:xmpp:jingle:apps:rtp:rtp-hdrext:0\"",
        "<rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\"",
        "<source xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\"",
        "<ssrc-group xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\"",
        "<ssrc-info xmlns=\"http://jitsi.org/jitmeet\"",
        "<group xmlns=\"urn:xmpp:jingle:apps:grouping:0\"",
        "<bridge-session xmlns=\"http://jitsi.org/protocol/focus\"",
        "<json-message xmlns=\"http://jitsi.org/jitmeet\"",
    ] {
        assert!(text.contains(literal), "{literal} in {text}");
    }
    assert!(!text.contains("xmlns:"), "no prefixes: {text}");
}

#[test]
fn what_has_no_meaning_is_refused() {
    let source = |ssrc: &str| {
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='source-add' sid='a'><content name='audio'>\
             <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{ssrc}'/></description>\
             </content></jingle>"
        )
    };
    assert!(parse(&source("4294967295")).is_ok());
    for ssrc in ["0", "-1", "4294967296", "x", ""] {
        assert!(
            matches!(parse(&source(ssrc)), Err(InvalidJingle::Ssrc(_))),
            "{ssrc}"
        );
    }
    let contents = "<content name='a'/>".repeat(CONTENTS_MAX + 1);
    let jingle = |attributes: &str, children: &str| {
        parse(&format!(
            "<jingle xmlns='urn:xmpp:jingle:1' {attributes}>{children}</jingle>"
        ))
    };
    assert!(jingle("action='x' sid='a'", "").is_ok());
    assert!(jingle("action='x' sid='a'", &contents).is_err());
    assert!(jingle("sid='a'", "").is_err());
    assert!(jingle("action='x'", "").is_err());
    let json = "<json-message xmlns='http://jitsi.org/jitmeet'>{\"sources\":1}</json-message>";
    assert!(jingle("action='x' sid='a'", json).is_err());
    assert!(parse("<jingle xmlns='x'/>").is_err());
}

/// COMPAT(lib-jitsi-meet): after an ice restart the client names its transport once for each
/// media line, of which a large meeting has many.
#[test]
fn the_answer_to_an_ice_restart() {
    let content = "<content name='video'>\
         <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='u' pwd='p' \
         ice-generation='2'/></content>"
        .repeat(200);
    let text = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='transport-info' sid='a'>{content}</jingle>"
    );
    let jingle = parse(&text).unwrap();
    assert_eq!(jingle.contents.len(), CONTENTS_MAX);
    assert!(jingle.transports().all(|t| t.ice_generation == Some(2)));
    let again = Jingle::parse(&jingle.to_element()).unwrap();
    assert_eq!(format!("{jingle:?}"), format!("{again:?}"));
    for (written, read) in [("x", Some(0)), ("-1", Some(0)), ("", None)] {
        let text = text.replace("ice-generation='2'", &format!("ice-generation='{written}'"));
        let transport = parse(&text).unwrap().contents[0].transport.clone().unwrap();
        assert_eq!(transport.ice_generation, read, "{written:?}");
    }
}

#[test]
fn who_starts_muted_is_told_in_the_offer() {
    let mut jingle = Jingle::new(Action::SessionInitiate, "a");
    assert!(jingle.to_element().children().next().is_none());
    jingle.start_muted = StartMuted {
        audio: true,
        video: false,
    };
    let again = Jingle::parse(&jingle.to_element()).unwrap();
    assert_eq!(again.start_muted, jingle.start_muted);
}

#[test]
fn reasons_and_restarts() {
    let jingle = parse(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='a'><reason>\
         <connectivity-error/><text>ICE FAILED</text></reason>\
         <bridge-session xmlns='http://jitsi.org/protocol/focus' id='B' restart='true'/></jingle>",
    )
    .unwrap();
    assert_eq!(
        jingle.reason,
        Some(Reason::new("connectivity-error", "ICE FAILED"))
    );
    let session = jingle.bridge_session.unwrap();
    assert!(session.wants_restart && !session.wants_ice_restart && session.id == "B");
}
