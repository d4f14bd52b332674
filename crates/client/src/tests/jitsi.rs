//! A visit at Jitsi's own server: lines of the shape that Prosody, Jicofo and the videobridge
//! write, which differ from ours in quotes, orders, extra elements and what is left out.

use super::*;

const FEATURES: &str = "<stream:features xmlns:stream='http://etherx.jabber.org/streams' \
    xmlns='jabber:client'><sm xmlns='urn:xmpp:sm:2'><optional/></sm>\
    <sm xmlns='urn:xmpp:sm:3'><optional/></sm><ver xmlns='urn:xmpp:features:rosterver'/>\
    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><required/></bind>\
    <session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>\
    <c hash='sha-1' xmlns='http://jabber.org/protocol/caps' node='http://prosody.im' ver='x='/>\
    </stream:features>";

const FOCUS: &str = "<presence from='tea@conference.localhost/focus' id='F-1' xml:lang='en' \
    to='1a2b3c4d-0000-4000-8000-000000000000@localhost/x' xmlns='jabber:client'>\
    <priority>0</priority><etherpad xmlns='http://jitsi.org/jitmeet/etherpad'>tea</etherpad>\
    <versions xmlns='http://jitsi.org/jitmeet'><component name='focus'>1.1</component></versions>\
    <conference-properties xmlns='http://jitsi.org/protocol/focus'>\
    <property key='support-terminate-restart' value='true'/>\
    <property key='bridge-count' value='1'/></conference-properties>\
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='o='/>\
    <x xmlns='http://jabber.org/protocol/muc#user'><item role='moderator' \
    jid='focus@auth.localhost/focus' affiliation='owner'/></x></presence>";

const ME_THERE: &str = "<presence from='tea@conference.localhost/1a2b3c4d' xml:lang='en' \
    to='1a2b3c4d-0000-4000-8000-000000000000@localhost/x' xmlns='jabber:client'>\
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='p='/>\
    <x xmlns='http://jabber.org/protocol/muc#user'><status code='100'/>\
    <item role='participant' jid='1a2b3c4d-0000-4000-8000-000000000000@localhost/x' \
    affiliation='none'/><status code='110'/></x></presence>";

/// What Jicofo puts around contents, and what is in them.
fn from_jicofo(action: &str, inner: &str) -> String {
    format!(
        "<iq from='tea@conference.localhost/focus' id='{action}' type='set' \
         xmlns='jabber:client' to='1a2b3c4d-0000-4000-8000-000000000000@localhost/x' \
         xml:lang='en'><jingle initiator='focus@auth.localhost/focus' xmlns='urn:xmpp:jingle:1' \
         action='{action}' sid='c9c9bg1qin3qt'>{inner}<traceparent parent_id='00' trace_flags='00' \
         trace_id='00' xmlns='jitsi:opentelemetry'/></jingle></iq>"
    )
}

fn feedback(kinds: &[(&str, &str)]) -> String {
    let one = |(type_, subtype): &(&str, &str)| {
        let subtype = match *subtype {
            "" => String::new(),
            subtype => format!(" subtype='{subtype}'"),
        };
        format!("<rtcp-fb type='{type_}' xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0'{subtype}/>")
    };
    kinds.iter().map(one).collect()
}

fn extensions(pairs: &[(u8, &str)]) -> String {
    let one = |(id, uri): &(u8, &str)| {
        format!("<rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' uri='{uri}' id='{id}'/>")
    };
    let mixed = "<extmap-allow-mixed xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0'/>";
    pairs.iter().map(one).collect::<String>() + mixed
}

const TCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// A session-initiate with four video codecs, extensions that we do not know, the same transport in
/// each content, and no data channel.
fn initiate() -> String {
    let video = feedback(&[
        ("ccm", "fir"),
        ("nack", ""),
        ("nack", "pli"),
        ("transport-cc", ""),
    ]);
    let codec = |id: u8, name: &str| {
        format!("<payload-type clockrate='90000' id='{id}' name='{name}'>{video}</payload-type>")
    };
    let rtx = |id: u8, of: u8| {
        format!(
            "<payload-type clockrate='90000' id='{id}' name='rtx'>\
             <parameter value='{of}' name='apt'/></payload-type>"
        )
    };
    let transport = "<transport ufrag='c0tnn1k80hfetl' \
        xmlns='urn:xmpp:jingle:transports:ice-udp:1' pwd='3kmbjmucr4lh2576l1qo6s6su6'>\
        <web-socket url='wss://192.0.2.1/colibri-ws/jvb-1/1098c337/1a2b3c4d?pwd=p' \
        xmlns='http://jitsi.org/protocol/colibri'/><rtcp-mux/>\
        <fingerprint cryptex='false' setup='actpass' hash='sha-256' required='false' \
        xmlns='urn:xmpp:jingle:apps:dtls:0'>3E:39:14:DC:45:B4:A2:73:C8:74:7D:7B:7A:9D:1F:E8:DF:FB:\
        E3:66:45:F1:D1:68:15:DB:ED:AA:72:92:40:2C</fingerprint>\
        <candidate protocol='udp' foundation='1' priority='2130706431' port='10000' component='1' \
        id='76c4e9a1' ip='192.0.2.1' type='host' network='0' generation='0'/>\
        <candidate protocol='udp' foundation='2' priority='1677724415' port='10000' component='1' \
        id='76c4e9a2' ip='198.51.100.9' type='srflx' rel-addr='192.0.2.1' rel-port='10000' \
        network='0' generation='0'/></transport>";
    let audio_extensions = extensions(&[
        (1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
        (10, MID),
        (5, TCC),
    ]);
    let video_extensions = extensions(&[
        (
            11,
            "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
        ),
        (10, MID),
        (
            3,
            "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        ),
        (5, TCC),
    ]);
    let opus = feedback(&[("transport-cc", "")]);
    let codecs = codec(41, "AV1") + &codec(100, "VP8") + &codec(107, "H264") + &codec(101, "VP9");
    let retransmissions = rtx(42, 41) + &rtx(96, 100) + &rtx(97, 101) + &rtx(99, 107);
    from_jicofo(
        "session-initiate",
        &format!(
            "<content creator='initiator' senders='both' name='audio'>\
             <description media='audio' maxptime='60' xmlns='urn:xmpp:jingle:apps:rtp:1'>\
             <payload-type clockrate='48000' id='112' channels='2' name='red'>\
             <parameter value='111/111'/></payload-type>\
             <payload-type clockrate='48000' id='111' channels='2' name='opus'>\
             <parameter value='10' name='minptime'/>{opus}</payload-type>\
             <payload-type clockrate='8000' id='126' name='telephone-event'/>{audio_extensions}\
             <rtcp-mux/></description>{transport}</content>\
             <content creator='initiator' senders='both' name='video'>\
             <description media='video' xmlns='urn:xmpp:jingle:apps:rtp:1'>{codecs}\
             {retransmissions}{video_extensions}<rtcp-mux/></description>{transport}</content>\
             <group semantics='BUNDLE' xmlns='urn:xmpp:jingle:apps:grouping:0'>\
             <content name='audio'/><content name='video'/></group>\
             <bridge-session id='eb6b84d8' xmlns='http://jitsi.org/protocol/focus'/>\
             <json-message xmlns='http://jitsi.org/jitmeet'>{{&quot;sources&quot;:{{&quot;jvb&quot;:\
             [[{{&quot;s&quot;:1368005871,&quot;n&quot;:&quot;jvb-v0&quot;,\
             &quot;m&quot;:&quot;mixedmslabel mixedlabelvideo0&quot;}}],[],\
             [{{&quot;s&quot;:896013628,&quot;n&quot;:&quot;jvb-a0&quot;,\
             &quot;m&quot;:&quot;mixedmslabel mixedlabelaudio0&quot;}}]]}}}}</json-message>"
        ),
    )
}

/// In the room, as Prosody and Jicofo let one in.
fn there() -> Visit {
    let mut visit = Visit::new();
    visit.client.handle_socket_opened(visit.now);
    visit.drain();
    let open = "<open version='1.0' xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='s' \
                xml:lang='en' from='localhost'/>";
    visit.say(open);
    visit.say(
        "<stream:features xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>\
         <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>ANONYMOUS</mechanism>\
         </mechanisms></stream:features>",
    );
    visit.expect("ANONYMOUS");
    visit.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    visit.say(open);
    visit.say(FEATURES);
    visit.expect("xmpp-bind");
    let id = visit.last_id();
    visit.say(&format!(
        "<iq id='{id}' type='result' xmlns='jabber:client'>\
         <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{ME}</jid></bind></iq>"
    ));
    visit.say("<enabled max='60' xmlns='urn:xmpp:sm:3' resume='true' id='HmYCvpHtjFah'/>");
    let request = visit.expect("<conference xmlns='http://jitsi.org/protocol/focus'");
    assert!(request.contains("to=\"focus.localhost\""), "{request}");
    let id = visit.last_id();
    visit.say(&format!(
        "<iq from='focus.localhost' id='{id}' type='result' xmlns='jabber:client' to='{ME}' \
         xml:lang='en'><conference focusjid='focus@auth.localhost' \
         xmlns='http://jitsi.org/protocol/focus' ready='true' room='tea@conference.localhost'>\
         <property value='false' name='authentication'/>\
         <property value='false' name='visitors-supported'/></conference></iq>"
    ));
    visit.expect("SourceInfo");
    visit.say(FOCUS);
    visit.say(ME_THERE);
    assert_eq!(visit.notices, [Notice::Joined]);
    visit
}

#[test]
fn an_offer_of_jicofo_is_answered() {
    let mut visit = there();
    visit.say(&initiate());
    assert_eq!(visit.notices.last(), Some(&Notice::Invited));
    assert!(
        visit.client.remote_sources().is_empty(),
        "the bridge's own sources are nobody's"
    );
    let channel = "wss://192.0.2.1/colibri-ws/jvb-1/1098c337/1a2b3c4d?pwd=p";
    assert_eq!(visit.channels, [channel]);
    visit.pass(Duration::from_millis(200));
    let accept = visit.sent("session-accept");
    assert!(
        accept.contains("to=\"tea@conference.localhost/focus\""),
        "{accept}"
    );
    let (from, to) = (
        accept.find("<jingle").unwrap(),
        accept.find("</iq>").unwrap(),
    );
    let answer = Jingle::parse(&accept[from..to].parse().unwrap()).unwrap();
    assert_eq!(answer.bundle, ["audio", "video"], "no data channel");
    let described = |content: &Content| {
        let description = content.description.clone().unwrap();
        let codecs = description.payload_types.iter();
        let codecs: Vec<u8> = codecs.map(|codec| codec.id).collect();
        let extensions = description.header_extensions.iter();
        let extensions: Vec<u8> = extensions.map(|extension| extension.id).collect();
        (codecs, extensions)
    };
    let [audio, video] = answer.contents.as_slice() else {
        panic!("{answer:?}")
    };
    assert_eq!(described(audio).0, [111]);
    assert!([1, 5].iter().all(|id| described(audio).1.contains(id)));
    let (codecs, extensions) = described(video);
    assert_eq!(codecs.first(), Some(&100), "what is sent comes first");
    assert!(codecs.contains(&96), "{codecs:?}");
    assert!([3, 5].iter().all(|id| extensions.contains(id)));
    assert!(!extensions.contains(&10), "nothing is marked with a mid");
    let transport = answer.complete_transport().unwrap();
    let setup = transport.fingerprint.as_ref().unwrap().setup;
    assert_eq!(setup, Setup::Active);
}

/// Without SSRC rewriting Jicofo says later who sends what: in JSON alone, with no content.
#[test]
fn sources_that_jicofo_adds_and_removes() {
    let mut visit = there();
    visit.say(&initiate());
    visit.pass(Duration::from_millis(200));
    visit.answer("session-accept", None);
    let sources = "<json-message xmlns='http://jitsi.org/jitmeet'>{&quot;sources&quot;:\
        {&quot;99999999&quot;:[[{&quot;s&quot;:6,&quot;n&quot;:&quot;99999999-v0&quot;,\
        &quot;m&quot;:&quot;m v&quot;},{&quot;s&quot;:7,&quot;n&quot;:&quot;99999999-v0&quot;,\
        &quot;m&quot;:&quot;m v&quot;}],[[&quot;f&quot;,6,7]],[{&quot;s&quot;:5,\
        &quot;n&quot;:&quot;99999999-a0&quot;,&quot;m&quot;:&quot;m a&quot;}]]}}</json-message>";
    visit.say(&from_jicofo("source-add", sources));
    visit.expect("type=\"result\"");
    let names = |visit: &Visit| {
        let sources = visit.client.remote_sources();
        let names = sources.iter().map(|source| format!("{}", source.name));
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&visit), ["99999999-a0", "99999999-v0"]);
    visit.say(&from_jicofo("source-remove", sources));
    assert!(names(&visit).is_empty());
}

/// `hosts.anonymousdomain`: where people have accounts, guests log in somewhere else; everything
/// else stays where it is.
#[test]
fn guests_log_in_at_their_own_domain() {
    let mut visit = Visit::with(Habits {
        guest_domain: Some(
            jid::DomainPart::new("guest.localhost")
                .unwrap()
                .into_owned(),
        ),
        ..Habits::default()
    });
    visit.log_in();
    assert!(
        visit.frames[0].contains("to='guest.localhost'"),
        "{:?}",
        visit.frames
    );
    visit.bind();
    let about = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    assert!(visit.sent(about).contains("to=\"localhost\""));
    visit.join();
    assert_eq!(visit.notices, [Notice::Joined]);
}
