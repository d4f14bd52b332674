//! `config.js` and `interface_config.js`: what Jitsi's clients and ours are told before they
//! connect.
//!
//! Both are one JSON value each: nothing from outside is ever written as script.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use tertulia_model::{Host, Hosts, VideoCodec};

use crate::authority::Authority;
use crate::config::ClientConfig;
use crate::http::tenant::Tenant;
use crate::listen::web::Visitor;
use crate::node::Node;

/// What the answer to one client depends on.
pub(crate) struct Site<'a> {
    pub(crate) hosts: &'a Hosts,
    pub(crate) client: &'a ClientConfig,
    /// What addresses of WebSockets begin with: `wss://host:port`.
    pub(crate) websocket_base: String,
}

impl<'a> Site<'a> {
    pub(crate) fn new(node: &'a Node, visitor: &Visitor, authority: &Authority) -> Site<'a> {
        Site {
            hosts: &node.hosts,
            client: &node.web.client,
            websocket_base: node.authorities.websocket_base(authority, visitor.arrival),
        }
    }
}

/// `/config.js`.
pub(crate) async fn serve(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
) -> Response {
    script_response(config(&Site::new(&node, &visitor, &authority), None))
}

/// `/TENANT/config.js`.
pub(crate) async fn serve_tenant(
    State(node): State<Arc<Node>>,
    Extension(visitor): Extension<Visitor>,
    Extension(authority): Extension<Authority>,
    Path(tenant): Path<String>,
) -> Response {
    match Tenant::parse(&node.hosts, &tenant) {
        Some(tenant) => {
            let site = Site::new(&node, &visitor, &authority);
            script_response(config(&site, Some(&tenant)))
        }
        None => (StatusCode::NOT_FOUND, NO_TENANT).into_response(),
    }
}

/// A script that was made for one client.
pub(crate) fn script_response(script: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, script).into_response()
}

/// Why a path with such a tenant leads nowhere.
pub(crate) const NO_TENANT: &str =
    "the first part of this address can't name a group of rooms: letters, digits, - and _ can\n";

/// Names as Jitsi's clients read them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigJs<'a> {
    hosts: ClientHosts,
    focus_user_jid: String,
    websocket: String,
    websocket_keep_alive_url: String,
    bosh: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    conference_request_url: Option<String>,
    bridge_channel: BridgeChannel,
    p2p: PeerToPeer<'a>,
    flags: Flags,
    video_quality: VideoQuality,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_audio_muted: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_video_muted: Option<u32>,
    enable_websocket_resume: bool,
    enable_ice_restart: bool,
    prejoin_config: Enabled,
    require_display_name: bool,
    security_ui: SecurityUi,
    breakout_rooms: BreakoutRooms,
    speaker_stats: Disabled,
    disable_polls: bool,
    disable_third_party_requests: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment_info: Option<DeploymentInfo<'a>>,
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
struct PeerToPeer<'a> {
    enabled: bool,
    stun_servers: Vec<IceServer<'a>>,
}

#[derive(Serialize)]
struct IceServer<'a> {
    urls: &'a str,
}

/// COMPAT(jitsi-meet): what is not said is taken as on.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Flags {
    ssrc_rewriting_enabled: bool,
}

/// COMPAT(lib-jitsi-meet): it sets up its senders for the first codec of this order even when the
/// bridge did not offer it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VideoQuality {
    codec_preference_order: Vec<&'static str>,
    mobile_codec_preference_order: Vec<&'static str>,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Serialize)]
struct Disabled {
    disabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecurityUi {
    hide_lobby_button: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BreakoutRooms {
    hide_add_room_button: bool,
    hide_auto_assign_button: bool,
    hide_join_room_button: bool,
}

/// COMPAT(lib-jitsi-meet): publishes `userRegion` in its presence, and leaves a server whose
/// answers name another shard.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeploymentInfo<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_region: Option<&'a str>,
}

/// `config.js` for the rooms of a tenant, or for those of none.
pub(crate) fn config(site: &Site<'_>, tenant: Option<&Tenant>) -> String {
    let Site {
        hosts,
        client,
        websocket_base,
    } = site;
    let tenant = tenant.map(Tenant::as_str);
    let rooms = hosts.name_for(Host::Conference, tenant);
    let rooms = rooms.expect("a tenant passed as one label of a host name");
    let folder = tenant.map_or_else(String::new, |tenant| format!("/{tenant}"));
    // ws: is http:, wss: is https:.
    let http_base = websocket_base.replacen("ws", "http", 1);
    let deployment_info = DeploymentInfo {
        shard: client.shard.as_deref(),
        region: client.region.as_deref(),
        user_region: client.region.as_deref(),
    };
    let names = |codecs: std::slice::Iter<'_, VideoCodec>| {
        codecs.map(|codec| codec.as_str()).collect::<Vec<_>>()
    };
    let mut by_effort = MOBILE_ORDER.to_vec();
    by_effort.retain(|codec| client.video_codecs.contains(codec));
    let is_deployed = client.shard.is_some() || client.region.is_some();
    let config = ConfigJs {
        hosts: ClientHosts {
            domain: hosts.name(Host::Main).to_string(),
            muc: rooms.to_string(),
            focus: hosts.name(Host::Focus).to_string(),
        },
        focus_user_jid: hosts.focus_user().to_string(),
        websocket: format!("{websocket_base}{folder}/xmpp-websocket"),
        // Without it the client asks the WebSocket's own address, with all that is secret in it.
        websocket_keep_alive_url: format!("{http_base}/xmpp-websocket"),
        bosh: format!("{http_base}{folder}/http-bind"),
        conference_request_url: client
            .has_http_conference_request
            .then(|| format!("{http_base}/conference-request/v1")),
        bridge_channel: BridgeChannel { prefer_sctp: true },
        p2p: PeerToPeer {
            enabled: client.has_peer_to_peer,
            stun_servers: client
                .stun_servers
                .iter()
                .map(|urls| IceServer { urls })
                .collect(),
        },
        flags: Flags {
            ssrc_rewriting_enabled: client.has_ssrc_rewriting,
        },
        video_quality: VideoQuality {
            codec_preference_order: names(client.video_codecs.iter()),
            mobile_codec_preference_order: names(by_effort.iter()),
        },
        start_audio_muted: client.start_audio_muted,
        start_video_muted: client.start_video_muted,
        enable_websocket_resume: true,
        enable_ice_restart: client.has_ice_restart,
        prejoin_config: Enabled {
            enabled: client.has_prejoin,
        },
        require_display_name: client.is_display_name_required,
        security_ui: SecurityUi {
            hide_lobby_button: !client.has_lobby,
        },
        breakout_rooms: BreakoutRooms {
            hide_add_room_button: !client.has_breakout_rooms,
            hide_auto_assign_button: !client.has_breakout_rooms,
            hide_join_room_button: !client.has_breakout_rooms,
        },
        speaker_stats: Disabled {
            disabled: !client.has_speaker_stats,
        },
        disable_polls: !client.has_polls,
        disable_third_party_requests: true,
        deployment_info: is_deployed.then_some(deployment_info),
    };
    let mut value = serde_json::to_value(&config).expect("plain values are serialisable");
    merge(&mut value, &client.further);
    format!("var config = {};\n", json(&value))
}

/// What costs telephones the least, first; as Jitsi has it.
const MOBILE_ORDER: [VideoCodec; 4] = [
    VideoCodec::Vp8,
    VideoCodec::Vp9,
    VideoCodec::H264,
    VideoCodec::Av1,
];

/// Our own `interface_config.js`, for a folder that has none: what Jitsi's app calculates with.
pub(crate) fn interface(client: &ClientConfig) -> String {
    let mut value = serde_json::json!({
        "APP_NAME": "Tertulia",
        "NATIVE_APP_NAME": "Jitsi Meet",
        "PROVIDER_NAME": "Tertulia",
        "AUDIO_LEVEL_PRIMARY_COLOR": "rgba(255,255,255,0.4)",
        "AUDIO_LEVEL_SECONDARY_COLOR": "rgba(255,255,255,0.2)",
        "DEFAULT_BACKGROUND": "#1a1a1a",
        "FILM_STRIP_MAX_HEIGHT": 120,
        "GENERATE_ROOMNAMES_ON_WELCOME_PAGE": true,
        "LANG_DETECTION": true,
        "LOCAL_THUMBNAIL_RATIO": 16.0 / 9.0,
        "MAXIMUM_ZOOMING_COEFFICIENT": 1.3,
        "MOBILE_APP_PROMO": false,
        "RECENT_LIST_ENABLED": true,
        "REMOTE_THUMBNAIL_RATIO": 1,
        "SETTINGS_SECTIONS": ["devices", "language", "moderator", "profile", "sounds", "more"],
        "SHOW_BRAND_WATERMARK": false,
        "SHOW_JITSI_WATERMARK": false,
        "SHOW_POWERED_BY": false,
        "VERTICAL_FILMSTRIP": true,
        "VIDEO_LAYOUT_FIT": "both",
    });
    merge(&mut value, &client.further_interface);
    format!("var interfaceConfig = {};\n", json(&value))
}

/// What is to follow a folder's own `interface_config.js`.
pub(crate) fn further_interface(client: &ClientConfig) -> String {
    if client.further_interface.is_empty() {
        return String::new();
    }
    let value = Value::Object(client.further_interface.clone());
    format!("\nObject.assign(interfaceConfig, {});\n", json(&value))
}

/// Objects are merged, anything else is replaced.
fn merge(into: &mut Value, further: &Map<String, Value>) {
    let Some(object) = into.as_object_mut() else {
        *into = Value::Object(further.clone());
        return;
    };
    for (name, value) in further {
        match (object.get_mut(name), value) {
            (Some(own @ Value::Object(_)), Value::Object(value)) => merge(own, value),
            _ => {
                object.insert(name.clone(), value.clone());
            }
        }
    }
}

/// JSON that is safe inside a script, also one that stands in a page.
fn json(value: &Value) -> String {
    let json = serde_json::to_string_pretty(value).expect("plain values are serialisable");
    json.replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
pub(crate) mod tests {
    use jid::DomainPart;

    use super::*;

    pub(crate) fn hosts() -> Hosts {
        Hosts::new(DomainPart::new("localhost").unwrap().into_owned())
    }

    /// Everything as by default.
    pub(crate) fn client() -> ClientConfig {
        ClientConfig {
            has_prejoin: true,
            has_http_conference_request: false,
            shard: None,
            region: None,
            has_peer_to_peer: true,
            stun_servers: Vec::new(),
            has_ssrc_rewriting: true,
            video_codecs: vec![VideoCodec::Av1, VideoCodec::Vp9, VideoCodec::Vp8],
            has_ice_restart: true,
            start_audio_muted: Some(10),
            start_video_muted: None,
            has_lobby: true,
            has_breakout_rooms: true,
            has_polls: true,
            has_speaker_stats: true,
            is_display_name_required: false,
            further: Map::new(),
            further_interface: Map::new(),
        }
    }

    fn object(json: Value) -> Map<String, Value> {
        json.as_object().unwrap().clone()
    }

    /// The value that a client reads.
    fn read(client: &ClientConfig, tenant: Option<&str>) -> Value {
        let hosts = hosts();
        let site = Site {
            hosts: &hosts,
            client,
            websocket_base: "wss://192.0.2.1:8443".to_owned(),
        };
        let tenant = tenant.map(|tenant| Tenant::parse(&hosts, tenant).unwrap());
        let script = config(&site, tenant.as_ref());
        let json = script.strip_prefix("var config = ").unwrap();
        serde_json::from_str(json.strip_suffix(";\n").unwrap()).unwrap()
    }

    #[test]
    fn one_value_that_jitsi_understands() {
        let value = read(&client(), None);
        assert_eq!(value["hosts"]["muc"], "conference.localhost");
        assert_eq!(value["websocket"], "wss://192.0.2.1:8443/xmpp-websocket");
        let keep_alive = "https://192.0.2.1:8443/xmpp-websocket";
        assert_eq!(value["websocketKeepAliveUrl"], keep_alive);
        assert_eq!(value["bosh"], "https://192.0.2.1:8443/http-bind");
        assert_eq!(value["p2p"]["stunServers"], serde_json::json!([]));
        assert_eq!(value["flags"]["ssrcRewritingEnabled"], true);
        assert_eq!(value["bridgeChannel"]["preferSctp"], true);
        let quality = serde_json::json!({
            "codecPreferenceOrder": ["AV1", "VP9", "VP8"],
            "mobileCodecPreferenceOrder": ["VP8", "VP9", "AV1"],
        });
        assert_eq!(value["videoQuality"], quality);
        assert_eq!(value["startAudioMuted"], 10);
        assert_eq!(value["enableIceRestart"], true);
        assert_eq!(value["disableThirdPartyRequests"], true);
        for absent in ["startVideoMuted", "conferenceRequestUrl", "deploymentInfo"] {
            assert!(value.get(absent).is_none(), "{absent}");
        }
        assert!(value["hosts"].get("anonymousdomain").is_none());
    }

    #[test]
    fn a_tenant_has_rooms_and_paths_of_its_own() {
        let value = read(&client(), Some("School.A"));
        assert_eq!(value["hosts"]["domain"], "localhost");
        assert_eq!(value["hosts"]["muc"], "conference.school_a.localhost");
        let websocket = "wss://192.0.2.1:8443/school_a/xmpp-websocket";
        assert_eq!(value["websocket"], websocket);
        assert_eq!(value["bosh"], "https://192.0.2.1:8443/school_a/http-bind");
    }

    #[test]
    fn switches_reach_the_client() {
        let off = ClientConfig {
            has_prejoin: false,
            has_http_conference_request: true,
            shard: Some("north".to_owned()),
            region: Some("eu".to_owned()),
            has_peer_to_peer: false,
            stun_servers: vec!["stun:meet.example:3478".to_owned()],
            has_ssrc_rewriting: false,
            has_ice_restart: false,
            has_lobby: false,
            has_breakout_rooms: false,
            has_polls: false,
            has_speaker_stats: false,
            is_display_name_required: true,
            ..client()
        };
        let value = read(&off, None);
        let expected = serde_json::json!({
            "prejoinConfig": { "enabled": false },
            "conferenceRequestUrl": "https://192.0.2.1:8443/conference-request/v1",
            "deploymentInfo": { "shard": "north", "region": "eu", "userRegion": "eu" },
            "p2p": { "enabled": false, "stunServers": [{ "urls": "stun:meet.example:3478" }] },
            "flags": { "ssrcRewritingEnabled": false },
            "enableIceRestart": false,
            "securityUi": { "hideLobbyButton": true },
            "breakoutRooms": {
                "hideAddRoomButton": true,
                "hideAutoAssignButton": true,
                "hideJoinRoomButton": true
            },
            "disablePolls": true,
            "speakerStats": { "disabled": true },
            "requireDisplayName": true
        });
        for (name, expected) in object(expected) {
            assert_eq!(value[&name], expected, "{name}");
        }
    }

    #[test]
    fn an_administrator_has_the_last_word() {
        let client = ClientConfig {
            further: object(serde_json::json!({
                "p2p": { "enabled": false },
                "toolbarButtons": ["hangup"],
                "disablePolls": { "odd": 1 }
            })),
            further_interface: object(serde_json::json!({ "APP_NAME": "Mee</script>t" })),
            ..client()
        };
        let value = read(&client, None);
        let p2p = serde_json::json!({ "enabled": false, "stunServers": [] });
        assert_eq!(value["p2p"], p2p);
        assert_eq!(value["toolbarButtons"][0], "hangup");
        assert_eq!(value["disablePolls"]["odd"], 1);
        for script in [interface(&client), further_interface(&client)] {
            assert!(script.contains("Mee\\u003c/script>t"), "{script}");
        }
    }

    #[test]
    fn nothing_ends_the_script() {
        let value = serde_json::json!({ "a": "</script>\u{2028}\u{2029}" });
        let json = json(&value);
        assert!(!json.contains(['<', '\u{2028}', '\u{2029}']), "{json}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }
}
