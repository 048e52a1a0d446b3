//! What monitoring asks: `/ready`, `/health` and `/metrics`.

use serde_json::json;
use warren::ports::{hub::HubError, telemetry::Telemetry};

use super::*;

#[tokio::test]
async fn ready_turns_green_when_all_is_there_and_red_when_the_host_stops() {
    let served = Served::start().await;
    let (status, view) = served.get("/ready").await;
    assert_eq!((status, &view["ready"]), (503, &json!(false)), "{view}");
    let failing: Vec<_> = view["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["ok"] == false)
        .collect();
    assert_eq!(
        failing.iter().map(|check| &check["name"]).collect::<Vec<_>>(),
        ["plugins", "hub"],
        "{view}"
    );

    served.state.plugins_loaded();
    served
        .state
        .hub_answered(Err(&HubError::Unavailable("connection refused".into())));
    let (status, view) = served.get("/ready").await;
    assert!(
        status == 503 && view.to_string().contains("connection refused"),
        "{view}"
    );

    served.state.hub_answered(Ok(()));
    served.seat.standing.send_replace(Standing::Unknown);
    let (status, view) = served.get("/ready").await;
    assert!(
        status == 503 && view.to_string().contains("not heard yet who leads"),
        "{view}"
    );
    served.seat.standing.send_replace(Standing::Leading(Term(1)));
    let (status, view) = served.get("/ready").await;
    assert_eq!(status, 200, "{view}");
    assert!(view.to_string().contains("can't be run: broken"), "{view}");

    served.state.stopping();
    let (status, view) = served.get("/ready").await;
    assert!(status == 503 && view.to_string().contains("stopping"), "{view}");
    assert_eq!(served.get("/health").await.0, 200);
}

#[tokio::test]
async fn a_follower_is_ready_without_having_asked_the_hub() {
    let served = Served::start().await;
    served.state.plugins_loaded();
    assert_eq!(served.get("/ready").await.0, 503, "a leader has to have seen the Hub");
    served.seat.standing.send_replace(Standing::Following(None));
    let (status, view) = served.get("/ready").await;
    assert_eq!(status, 200, "{view}");
}

#[tokio::test]
async fn a_store_that_is_gone_is_said_and_health_stays_green() {
    let served = Served::start().await;
    served.sqlite.close().await;
    let (status, error) = served.get("/api/v1/status").await;
    assert_eq!(
        (status, error["error"]["code"].as_str()),
        (503, Some("store_unavailable")),
        "{error}"
    );
    let (status, view) = served.get("/ready").await;
    assert!(status == 503 && view["checks"][1]["ok"] == false, "{view}");
    assert_eq!(served.get("/health").await.0, 200);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let served = Served::start().await;
    served.metrics.recovered(2);
    let response = served.request(Method::GET, "/metrics").send().await.unwrap();
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("botburrow_items_recovered_total 2\n")
    );
}
