//! Uploads have places: one a tenant has no place for is refused before its body is read, and nobody else is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use futures_util::FutureExt;
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;

mod support;
use support::scene::{JSON, Scene};
use support::until;
use support::wire::{Raw, connect, drain, head};

const OTHER_TENANT: &str = "beta-inc";
const PLACES: usize = 4;

async fn upload(scene: &Scene, key: &str) -> u16 {
    let body = json!({"documents": [{"id": "again", "title": "Again", "text": "The same words, again and again."}]});
    scene.house.call(Method::POST, "/v1/documents", key, Some(body)).await.0
}

#[tokio::test]
async fn a_tenant_without_a_free_place_is_told_before_it_sends_a_body_and_its_neighbour_is_not() {
    let scene = Scene::new().await;
    let other = scene.house.key(OTHER_TENANT, "owner").await;
    let announced = head("POST", "/v1/documents", &scene.key, &[JSON, "content-length: 1000"]);
    let mut under_way = Vec::new();
    for _ in 0..=PLACES {
        let mut socket = connect(&scene.house).await;
        socket.write_all(announced.as_bytes()).await.unwrap();
        under_way.push(socket);
    }
    let at = until("one more than there are places is answered", async || {
        under_way.iter().position(|socket| socket.peek(&mut [0]).now_or_never().is_some())
    });
    let mut refused = under_way.swap_remove(at.await);
    let refused = Raw::parse(&drain(&mut refused).await).expect("an answer to a head alone");
    assert_eq!(refused.problem(), (503, "overloaded".to_owned()));
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    assert_eq!(upload(&scene, &scene.key).await, 503, "the other places stay taken");
    assert_eq!(upload(&scene, &other).await, 201, "a neighbour has places of its own");

    drop(under_way);
    until("places come back", async || (upload(&scene, &scene.key).await == 201).then_some(())).await;
}
