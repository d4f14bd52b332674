use super::*;

fn id(text: &str) -> EndpointId {
    text.parse().unwrap()
}

fn source(ssrc: u32, name: &str, msid: &str) -> SourceDescription {
    SourceDescription::new(Ssrc(ssrc), name, msid)
}

fn audio(ssrc: u32, owner: &str) -> EndpointSources {
    let sources = vec![source(
        ssrc,
        &format!("{owner}-a0"),
        &format!("{owner}-audio t"),
    )];
    EndpointSources {
        audio: MediaSources {
            sources,
            groups: vec![],
        },
        ..Default::default()
    }
}

/// Three layers with retransmissions, as every browser announces a camera.
fn simulcast(first: u32, owner: &str, index: u32) -> EndpointSources {
    let ssrcs: Vec<Ssrc> = (first..first + 6).map(Ssrc).collect();
    let name = format!("{owner}-v{index}");
    let describe = |ssrc: &Ssrc| source(ssrc.0, &name, &format!("{owner}-video-{index} t"));
    let pairs = (0..3).map(|i| SsrcGroup::new(Semantics::Retransmission, [ssrcs[i], ssrcs[i + 3]]));
    let layers = SsrcGroup::new(Semantics::Simulcast, ssrcs[..3].iter().copied());
    let video = MediaSources {
        sources: ssrcs.iter().map(describe).collect(),
        groups: pairs.chain([layers]).collect(),
    };
    EndpointSources {
        video,
        ..Default::default()
    }
}

fn check(owner: &str, added: &EndpointSources, expected: Result<(), Refusal>) {
    let mut registry = Registry::default();
    registry
        .add(&id("other"), &audio(900, "other"), 20)
        .unwrap();
    registry.add(&id("me"), &audio(1, "me"), 20).unwrap();
    let before = registry.sources(&id(owner)).to_vec();
    let result = registry.add(&id(owner), added, 20);
    assert_eq!(result, expected, "{added:?}");
    if result.is_err() {
        assert_eq!(
            registry.sources(&id(owner)),
            before,
            "a refused addition changes nothing"
        );
    }
    assert!(registry.is_consistent());
}

#[test]
fn a_camera_is_one_source_of_three_layers_and_announced_as_one() {
    let mut registry = Registry::default();
    registry
        .add(&id("me"), &simulcast(10, "me", 0), 20)
        .unwrap();
    registry.add(&id("me"), &audio(1, "me"), 20).unwrap();
    let [sound, camera] = registry.sources(&id("me")) else {
        panic!("two sources")
    };
    assert_eq!(
        sound.encodings,
        [Encoding {
            primary: Ssrc(1),
            rtx: None
        }]
    );
    let encoding = |i: u32| Encoding {
        primary: Ssrc(10 + i),
        rtx: Some(Ssrc(13 + i)),
    };
    assert_eq!(camera.encodings, [encoding(0), encoding(1), encoding(2)]);

    let told = described(registry.announced(&id("me")).iter());
    let ssrcs: Vec<u32> = told.video.sources.iter().map(|s| s.ssrc.0).collect();
    assert_eq!(
        ssrcs,
        [10, 13],
        "the lowest layer, before its retransmissions"
    );
    let pair = SsrcGroup::new(Semantics::Retransmission, [Ssrc(10), Ssrc(13)]);
    assert_eq!(told.video.groups, [pair]);
    assert_eq!(told.audio.sources.len(), 1);
}

#[test]
fn collisions_are_refused() {
    check("me", &audio(900, "me"), Err(Refusal::SsrcInUse(Ssrc(900))));
    check("me", &audio(1, "me"), Err(Refusal::SsrcInUse(Ssrc(1))));
    check("me", &audio(0, "me"), Err(Refusal::ZeroSsrc));
    let mut twice = simulcast(10, "me", 0);
    let first = twice.video.sources[0].clone();
    twice.audio.sources.push(SourceDescription {
        name: Some("me-a1".to_owned()),
        ..first
    });
    check("me", &twice, Err(Refusal::SsrcInUse(Ssrc(10))));
    let mut stolen = audio(2, "me");
    stolen.audio.sources[0].msid = Some("other-audio t".to_owned());
    check("me", &stolen, Err(Refusal::MsidInUse));
    for msid in [&*"x".repeat(513), "a b\r\na=ssrc:7 cname:x", "a\u{85}"] {
        let mut odd = audio(2, "me");
        odd.audio.sources[0].msid = Some(msid.to_owned());
        check("me", &odd, Err(Refusal::Msid));
    }
}

#[test]
fn names_belong_to_the_endpoint_and_the_media() {
    for name in ["other-a0", "me-v0", "me", "me-a", "me-a0.en"] {
        let mut added = audio(2, "me");
        added.audio.sources[0].name = Some(name.to_owned());
        check("me", &added, Err(Refusal::Name));
    }
    let mut nameless = audio(2, "new");
    nameless.audio.sources[0].name = None;
    check("new", &nameless, Ok(()));
}

#[test]
fn one_source_has_one_msid_and_one_name() {
    let mut added = simulcast(10, "me", 0);
    added.video.sources[1].msid = Some("another t".to_owned());
    check("me", &added, Err(Refusal::MixedSource));
    let mut added = simulcast(10, "me", 0);
    added
        .video
        .sources
        .push(source(20, "me-v1", "me-video-0 t"));
    check("me", &added, Err(Refusal::MsidInUse));
}

#[test]
fn ssrcs_of_one_source_are_joined() {
    let mut lone = simulcast(10, "me", 0);
    lone.video.groups.pop();
    check("me", &lone, Err(Refusal::Ungrouped));
    let mut second = audio(2, "me");
    check("me", &second, Err(Refusal::Ungrouped));
    second.audio.sources[0].name = Some("me-a1".to_owned());
    check("me", &second, Err(Refusal::MsidInUse));
    let mut nameless = audio(2, "new");
    nameless.audio.sources[0].name = None;
    let mut other = nameless.audio.sources[0].clone();
    other.ssrc = Ssrc(3);
    nameless.audio.sources.push(other);
    check("new", &nameless, Err(Refusal::Ungrouped));
}

/// What is left of a source after a removal stands in nobody's way.
#[test]
fn only_what_is_added_must_be_whole() {
    let mut registry = Registry::default();
    let mut camera = simulcast(10, "me", 0);
    registry.add(&id("me"), &camera, 20).unwrap();
    camera.video.sources.truncate(1);
    camera.video.groups.clear();
    registry.remove(&id("me"), &camera).unwrap();
    registry.add(&id("me"), &audio(1, "me"), 20).unwrap();
    let again = registry.add(&id("me"), &camera, 20);
    assert_eq!(again, Err(Refusal::Ungrouped));
}

#[test]
fn groups_are_made_of_known_ssrcs_of_one_source() {
    let with_group = |group: SsrcGroup| {
        let mut added = simulcast(10, "me", 0);
        added.video.groups.push(group);
        added
    };
    let fid = |ssrcs: &[u32]| {
        with_group(SsrcGroup::new(
            Semantics::Retransmission,
            ssrcs.iter().copied().map(Ssrc),
        ))
    };
    check("me", &fid(&[]), Ok(()));
    check("me", &fid(&[10, 13]), Ok(()));
    check("me", &fid(&[10]), Err(Refusal::Group));
    check("me", &fid(&[10, 10]), Err(Refusal::Group));
    check("me", &fid(&[10, 11, 12]), Err(Refusal::Group));
    check("me", &fid(&[10, 99]), Err(Refusal::Group));
    check("me", &fid(&[10, 1]), Err(Refusal::Group));
    check("me", &fid(&[10, 14]), Err(Refusal::GroupedTwice(Ssrc(10))));
    let layers = [12, 11, 10].map(Ssrc);
    let reversed = with_group(SsrcGroup::new(Semantics::Simulcast, layers));
    check("me", &reversed, Err(Refusal::GroupedTwice(Ssrc(12))));
    let mut anonymous = simulcast(10, "me", 0);
    anonymous
        .video
        .sources
        .iter_mut()
        .for_each(|s| s.msid = None);
    check("me", &anonymous, Err(Refusal::Group));
}

#[test]
fn twenty_and_no_more() {
    let mut registry = Registry::default();
    for i in 0..3 {
        registry
            .add(&id("me"), &simulcast(10 + 10 * i, "me", i), 20)
            .unwrap();
    }
    let fourth = simulcast(50, "me", 3);
    assert_eq!(
        registry.add(&id("me"), &fourth, 20),
        Err(Refusal::TooMany(20))
    );
    registry
        .add(&id("you"), &simulcast(50, "you", 0), 20)
        .unwrap();
}

#[test]
fn removals_are_checked_and_take_groups_along() {
    let mut registry = Registry::default();
    registry
        .add(&id("me"), &simulcast(10, "me", 0), 20)
        .unwrap();
    registry.add(&id("you"), &audio(1, "you"), 20).unwrap();
    let lone = |ssrc| {
        let sources = vec![source(ssrc, "", "")];
        EndpointSources {
            video: MediaSources {
                sources,
                groups: vec![],
            },
            ..Default::default()
        }
    };
    assert_eq!(
        registry.remove(&id("me"), &lone(1)),
        Err(Refusal::UnknownSsrc(Ssrc(1)))
    );
    let mut strange = lone(10);
    strange
        .video
        .groups
        .push(SsrcGroup::new(Semantics::Simulcast, [Ssrc(10)]));
    assert_eq!(
        registry.remove(&id("me"), &strange),
        Err(Refusal::UnknownGroup)
    );
    assert_eq!(registry.sources(&id("me"))[0].encodings.len(), 3);

    registry.remove(&id("me"), &lone(10)).unwrap();
    assert!(registry.is_consistent());
    registry
        .remove(&id("me"), &EndpointSources::default())
        .unwrap();
    let mut rest = simulcast(10, "me", 0);
    rest.video.sources.remove(0);
    rest.video.groups.clear();
    registry.remove(&id("me"), &rest).unwrap();
    assert_eq!(registry.sources(&id("me")), []);
    registry
        .add(&id("you"), &simulcast(10, "you", 0), 20)
        .unwrap();
    registry.remove_owner(&id("you"));
    assert!(registry.is_consistent() && registry.owners().next().is_none());
}
