//! `config.js`: what Jitsi's clients and ours are told before they connect.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use tertulia_model::{Host, Hosts};

use crate::authority::Authority;
use crate::listen::web::Visitor;
use crate::node::Node;

/// `/config.js`.
pub(crate) async fn serve(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
) -> impl IntoResponse {
    let base = node.authorities.websocket_base(&authority, visitor.arrival);
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, script(&node.hosts, &base))
}

/// Names as Jitsi's clients read them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig {
    hosts: ClientHosts,
    focus_user_jid: String,
    websocket: String,
    bridge_channel: BridgeChannel,
    p2p: PeerToPeer,
    flags: Flags,
    video_quality: VideoQuality,
    enable_websocket_resume: bool,
    disable_third_party_requests: bool,
}

#[derive(Serialize)]
struct ClientHosts {
    domain: String,
    muc: String,
    focus: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BridgeChannel {
    prefer_sctp: bool,
}

/// COMPAT(lib-jitsi-meet): without a list, STUN servers of a third party are asked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PeerToPeer {
    enabled: bool,
    stun_servers: [String; 0],
}

/// COMPAT(jitsi-meet): what is not said is taken as on.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Flags {
    ssrc_rewriting_enabled: bool,
}

/// COMPAT(lib-jitsi-meet): its default order begins with AV1, and it sets up its senders for the
/// first of that order even when the bridge offered another codec.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VideoQuality {
    codec_preference_order: [&'static str; 1],
    mobile_codec_preference_order: [&'static str; 1],
}

fn script(hosts: &Hosts, websocket_base: &str) -> String {
    let config = ClientConfig {
        hosts: ClientHosts {
            domain: hosts.name(Host::Main).to_string(),
            muc: hosts.name(Host::Conference).to_string(),
            focus: hosts.name(Host::Focus).to_string(),
        },
        focus_user_jid: hosts.focus_user().to_string(),
        websocket: format!("{websocket_base}/xmpp-websocket"),
        bridge_channel: BridgeChannel { prefer_sctp: true },
        p2p: PeerToPeer {
            enabled: true,
            stun_servers: [],
        },
        flags: Flags {
            ssrc_rewriting_enabled: false,
        },
        video_quality: VideoQuality {
            codec_preference_order: ["VP8"],
            mobile_codec_preference_order: ["VP8"],
        },
        enable_websocket_resume: true,
        disable_third_party_requests: true,
    };
    let json = serde_json::to_string_pretty(&config).expect("plain values are serialisable");
    format!("var config = {};\n", escaped(&json))
}

/// JSON that is safe inside a script, also one that stands in a page.
fn escaped(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jid::DomainPart;

    #[test]
    fn one_value_that_jitsi_understands() {
        let hosts = Hosts::new(DomainPart::new("localhost").unwrap().into_owned());
        let script = script(&hosts, "wss://192.0.2.1:8443");
        let json = script
            .strip_prefix("var config = ")
            .unwrap()
            .strip_suffix(";\n")
            .unwrap();
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(value["hosts"]["muc"], "conference.localhost");
        assert_eq!(value["websocket"], "wss://192.0.2.1:8443/xmpp-websocket");
        assert_eq!(value["p2p"]["stunServers"], serde_json::json!([]));
        assert_eq!(value["flags"]["ssrcRewritingEnabled"], false);
        assert_eq!(value["bridgeChannel"]["preferSctp"], true);
        assert_eq!(value["videoQuality"]["codecPreferenceOrder"][0], "VP8");
        assert!(value["hosts"].get("anonymousdomain").is_none());
    }

    #[test]
    fn nothing_ends_the_script() {
        let json = escaped("{\"a\":\"</script>\u{2028}\u{2029}\"}");
        assert_eq!(json, "{\"a\":\"\\u003c/script>\\u2028\\u2029\"}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["a"], "</script>\u{2028}\u{2029}");
    }
}
