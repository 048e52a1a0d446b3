//! Who leads, handing it over, and calls that are forwarded to the leader: hosts that share one store in this process.
//!
//! `Served` is a host whose election never runs: whatever only the leader can do, it forwards.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};
use warren::{
    domain::{ids::HolderId, lease::LeaseTerms},
    ports::{
        leadership::{Acquired, Bid},
        telemetry::Unmeasured,
    },
    services::election::{Election, ElectionConfig, Office},
};

use super::{commands::assert_ends, *};

const HANDOVER: &str = "/api/v1/leader/handover";

/// A host that bids.
struct Member {
    office: Office,
    stop: CancellationToken,
    _tasks: [JoinHandle<anyhow::Result<()>>; 2],
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Served {
    async fn member(&self, name: &str, score: i32, token: &str) -> Member {
        let listener = api::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (office, seat) = election::open(Arc::new(move || Score(score)));
        let context = self.neighbour(name, address, token, office.clone());
        let election = Election {
            leadership: self.store.leadership.clone(),
            events: self.store.events.clone(),
            telemetry: Arc::new(Unmeasured),
            clock: Arc::new(BootClock),
            config: ElectionConfig {
                lease: LeaseTerms {
                    length: Duration::from_secs(9),
                    margin: Duration::from_secs(1),
                },
                renew_every: Duration::from_secs(3),
                bid_every: Duration::from_secs(1),
                look_every: Duration::from_secs(5),
                call_timeout: Duration::from_secs(2),
                stop_within: Duration::from_secs(1),
            },
            holder: HolderId::fresh(HostName::new(name).unwrap()),
            address: format!("http://{address}"),
            tasks: Vec::new(),
            seat,
        };
        let stop = CancellationToken::new();
        let (_, answers) = watch::channel(api::whole(context, stop.clone()));
        let member = Member {
            _tasks: [
                tokio::spawn(election.run(stop.clone())),
                tokio::spawn(api::serve(listener, answers, stop.clone())),
            ],
            office,
            stop,
        };
        commands::wait_until(|| async {
            match member.office.standing() {
                Standing::Leading(_) => true,
                Standing::Following(leader) => leader.is_some(),
                Standing::Unknown => false,
            }
        })
        .await;
        member
    }

    async fn handover(&self, body: Value) -> (u16, Value) {
        let request = self.request(Method::POST, HANDOVER).bearer_auth(TOKEN).json(&body);
        let response = request.send().await.unwrap();
        let status = response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(response.headers().contains_key("retry-after"));
        }
        (status.as_u16(), response.json().await.unwrap())
    }

    async fn refused(&self, body: Value, status: u16, code: &str, words: &str) {
        let (found, view) = self.handover(body).await;
        assert_eq!((found, view["error"]["code"].as_str()), (status, Some(code)), "{view}");
        let message = view["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    }

    /// Somebody leads whose API is there.
    async fn led_from(&self, address: &str) {
        let bid = Bid {
            holder: HolderId::fresh(HostName::new("elsewhere").unwrap()),
            address: address.to_owned(),
            ttl: Duration::from_secs(600),
            score: Score(0),
            known: Term(0),
            waits: Duration::from_secs(1),
        };
        let answer = self.store.leadership.acquire(&bid).await.unwrap();
        assert!(matches!(answer, Acquired::Won(_)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_handover_is_forwarded_to_the_leader_and_names_its_successor() {
    let served = Served::start().await;
    served.refused(json!({}), 503, "no_leader", "nobody leads").await;
    let h2 = served.member("h2", 0, TOKEN).await;
    assert!(h2.office.leads());
    served.refused(json!({}), 409, "alone", "no host but h2 can lead").await;
    served
        .refused(json!({ "to": "h3" }), 409, "alone", "role coordinator")
        .await;
    served
        .refused(json!({ "to": "h2" }), 409, "already_leads", "h2 leads already")
        .await;
    let h3 = served.member("h3", 2, TOKEN).await;
    served
        .refused(
            json!({ "to": "h9" }),
            404,
            "not_found",
            "host h9 does not wait for the leadership",
        )
        .await;
    served
        .refused(json!({ "for": 1 }), 422, "invalid", "unknown field")
        .await;
    let (status, view) = served.handover(json!({ "to": "h3" })).await;
    assert_eq!((status, view["leader"]["host"].as_str()), (200, Some("h3")), "{view}");
    assert!(h3.office.leads() && !h2.office.leads());

    commands::wait_until(|| async { !served.store.leadership.candidates().await.unwrap().is_empty() }).await;
    let (_, view) = served.get("/api/v1/leader").await;
    assert_eq!(
        (&view["leader"]["host"], &view["leader"]["term"]),
        (&json!("h3"), &json!(2))
    );
    assert_eq!(view["candidates"], json!([{ "host": "h2", "score": 0 }]));
    assert_eq!(view["host"]["name"], "host-1");
    assert!(view["leader"]["lease_left_seconds"].as_f64().unwrap() > 5.0, "{view}");
    commands::wait_until(|| async {
        let (_, view) = served.get("/api/v1/leader").await;
        view["last_change"]["kind"] == "became_leader" && view["last_change"]["host"] == "h3"
    })
    .await;
    let (status, _) = served.get("/api/v1/leader/handover").await;
    assert_eq!(status, 405);
    let denied = served
        .request(Method::POST, HANDOVER)
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(denied.status(), 401, "before it is forwarded");
}

#[tokio::test]
async fn the_commands_show_and_hand_over() {
    let served = Served::start().await;
    let nobody = served.command(&["leader", "show"], "").await;
    assert_ends(&nobody, 0, &["leader   nobody", "host-1"]);
    assert_ends(
        &served.command(&["leader", "handover"], "").await,
        1,
        &["nobody leads at the moment"],
    );
    let _h2 = served.member("h2", 0, TOKEN).await;
    let _h3 = served.member("h3", 0, TOKEN).await;
    let gone = served.command(&["leader", "handover", "--to", "h9"], "").await;
    assert_ends(&gone, 3, &["host h9 does not wait", "These wait: h3"]);
    let done = served.command(&["leader", "handover", "--to", "h3"], "").await;
    assert_ends(&done, 0, &["h3 leads now, in term 2", "h2 handed over in", "ms"]);
    commands::wait_until(|| async { !served.store.leadership.candidates().await.unwrap().is_empty() }).await;
    let shown = served.command(&["leader", "show"], "").await;
    assert_ends(&shown, 0, &["h3, term 2", "http://127.0.0.1:", "s left", "WAITS", "h2"]);
    let json = served.command(&["leader", "handover", "--json"], "").await;
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["from"], &json["leader"]["host"]), (&json!("h3"), &json!("h2")));
}

#[tokio::test]
async fn a_leader_that_can_t_be_reached_is_named() {
    let served = Served::start().await;
    served.led_from("http://127.0.0.1:1").await;
    served
        .refused(
            json!({}),
            503,
            "leader_unreachable",
            "the leader elsewhere (term 1) can't be reached at http://127.0.0.1:1",
        )
        .await;
    let served = Served::start().await;
    served.led_from("nowhere").await;
    served
        .refused(json!({}), 503, "leader_unreachable", "set its api.advertise")
        .await;
}

/// The host that the call is forwarded to does not lead: it says so, and forwards it no further.
#[tokio::test]
async fn a_call_is_forwarded_once() {
    let served = Served::start().await;
    served.led_from(&format!("http://{}", served.address)).await;
    served
        .refused(
            json!({}),
            503,
            "not_leader",
            "host-1 forwarded this call to host-1 as the leader",
        )
        .await;
}

#[tokio::test]
async fn hosts_with_different_tokens_are_told() {
    let served = Served::start().await;
    let _other = served.member("h2", 0, "another-token-of-some-length").await;
    served
        .refused(json!({}), 503, "leader_unreachable", "need the same api.token")
        .await;
}
