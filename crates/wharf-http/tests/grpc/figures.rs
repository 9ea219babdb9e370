//! Calls are counted by method and status, under names that no peer can make up.

use std::convert::Infallible;

use futures_util::stream;
use http::Response;
use http_body_util::{BodyExt, Empty};
use tower::service_fn;
use wharf_http::grpc::{Calls, Code, MethodFigures, OTHER, Status, only};

use super::client::*;

fn nothing() -> Sent {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// One method exists; the rest is refused as its path says.
async fn service(request: Asked) -> Result<Response<Sent>, Infallible> {
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/a.A/Known" => answer_of(stream::iter([message(1), message(2)]), Some("5")),
        "/a.A/Nothing" => answer_of(stream::empty(), Some("0")),
        "/a.A/Mute" => answer_of(stream::iter([message(1)]), None),
        "/a.A/Nonsense" => answer_of(stream::empty(), Some("OK")),
        "/a.A/Html" => Response::new(nothing()),
        "/a.A/Missing" => {
            let mut response = Response::new(nothing());
            *response.status_mut() = http::StatusCode::NOT_FOUND;
            response
        }
        path if path.starts_with("/guess") => {
            Status::new(Code::Unauthenticated, "who are you").refusal(nothing())
        }
        _ => Status::new(Code::Unimplemented, "").refusal(nothing()),
    })
}

fn of<'a>(figures: &'a [MethodFigures], method: &str) -> &'a MethodFigures {
    let mut figures = figures.iter();
    figures
        .find(|it| &*it.method == method)
        .expect("it is counted")
}

fn ended(figures: &MethodFigures) -> Vec<(Code, u64)> {
    let ended = Code::ALL.into_iter().zip(figures.ended);
    ended.filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn the_status_comes_from_the_trailers_or_from_a_head_without_any() {
    let calls = Calls::default();
    calls.declare(["a.A/Missing", "a.A/None"]);
    let mut client = Client::of(only(service_fn(service)).calls(calls.clone())).await;
    for method in ["Known", "Nothing", "Mute", "Nonsense", "Missing", "None"] {
        let path = format!("/a.A/{method}");
        client.call(&path, vec![message(1)]).await;
    }
    let figures = calls.figures();
    let status = |method| ended(of(&figures, method));
    assert_eq!(status("a.A/Known"), [(Code::NotFound, 1)]);
    assert_eq!(status("a.A/Nothing"), [(Code::Ok, 1)]);
    assert_eq!(status("a.A/Mute"), [(Code::Unknown, 1)]);
    assert_eq!(status("a.A/Nonsense"), [(Code::Unknown, 1)]);
    assert_eq!(status("a.A/Missing"), [(Code::Unimplemented, 1)]);
    assert_eq!(status("a.A/None"), [(Code::Unimplemented, 1)]);
    assert_eq!(of(&figures, "a.A/Known").messages_sent, 2);
    assert!(figures.iter().all(|it| it.in_flight == 0));
    assert_eq!(of(&figures, "a.A/Known").count, 1);
}

#[tokio::test]
async fn what_a_peer_makes_up_is_no_label() {
    let calls = Calls::default();
    let mut client = Client::of(only(service_fn(service)).calls(calls.clone())).await;
    for i in 0..300 {
        client
            .call(&format!("/guess.Service{i}/Method"), vec![])
            .await;
        client.call(&format!("/made.Up{i}/Method"), vec![]).await;
    }
    client.call("/a.A/Html", vec![]).await;
    client.call("/a.A/Known?x=y", vec![]).await;
    let figures = calls.figures();
    let names: Vec<&str> = figures.iter().map(|it| &*it.method).collect();
    assert_eq!(names, ["a.A/Known", OTHER]);
    assert_eq!(
        ended(&figures[1]),
        [
            (Code::Unknown, 1),
            (Code::Unimplemented, 300),
            (Code::Unauthenticated, 300)
        ]
    );
}

#[tokio::test]
async fn methods_beyond_the_most_are_counted_together() {
    let calls = Calls::with_most_methods(3);
    let answers =
        service_fn(async |_: Asked| Ok::<_, Infallible>(answer_of(stream::empty(), Some("0"))));
    let mut client = Client::of(only(answers).calls(calls.clone())).await;
    for i in 0..10 {
        client.call(&format!("/a.A/M{i}"), vec![]).await;
    }
    let figures = calls.figures();
    assert_eq!(figures.len(), 4);
    assert_eq!(ended(&figures[3]), [(Code::Ok, 7)]);
}
