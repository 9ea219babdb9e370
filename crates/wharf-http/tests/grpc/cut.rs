//! Calls that whoever serves the connection ends, and how they learn of the end.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use http::Response;
use http_body_util::{BodyExt, Empty};
use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower::{ServiceBuilder, service_fn};
use wharf_http::grpc::{Call, Calls, Code, MessageLimits, Status, only};

use super::client::*;

const LATE: Duration = Duration::from_millis(50);

fn late() -> Status {
    Status::new(Code::DeadlineExceeded, "too late").retry_after(Duration::from_secs(1))
}

/// Cuts `call` when it is late.
async fn deadline(call: Call) -> bool {
    sleep(LATE).await;
    call.cut(late())
}

#[tokio::test]
async fn a_call_is_cut_before_its_head() {
    let stuck = service_fn(async |_: Asked| pending::<Result<Response<Sent>, Infallible>>().await);
    let call = Call::new(MessageLimits::default(), None);
    let given = call.clone();
    let app = ServiceBuilder::new()
        .map_request(move |mut request: http::Request<_>| {
            request.extensions_mut().insert(given.clone());
            request
        })
        .service(only(stuck));
    let mut client = Client::of(app).await;
    let began = Instant::now();
    let (answer, cut) = tokio::join!(client.call("/a.A/A", vec![]), deadline(call.clone()));
    assert!(cut && began.elapsed() < Duration::from_secs(1));
    assert!(answer.is_trailers_only());
    assert_eq!(answer.code(), Some(Code::DeadlineExceeded));
    assert_eq!(answer.head["grpc-retry-pushback-ms"], "1000");
    assert_eq!(call.code(), Some(Code::DeadlineExceeded));
    assert!(!call.cut(Status::new(Code::Internal, "")));
}

#[tokio::test]
async fn a_call_is_cut_while_its_answer_is_silent() {
    let quiet = service_fn(async |_: Asked| {
        let pieces = stream::iter([message(3)]).chain(stream::pending());
        Ok::<_, Infallible>(answer_of(pieces, Some("0")))
    });
    let calls = Calls::default();
    let call = Call::new(MessageLimits::default(), Some(calls.clone()));
    let given = call.clone();
    let app = ServiceBuilder::new()
        .map_request(move |mut request: http::Request<_>| {
            request.extensions_mut().insert(given.clone());
            request
        })
        .service(only(quiet));
    let mut client = Client::of(app).await;
    let (answer, cut) = tokio::join!(client.call("/a.A/A", vec![]), deadline(call.clone()));
    assert!(cut && !answer.broken);
    assert_eq!(answer.data, message(3));
    assert_eq!(answer.code(), Some(Code::DeadlineExceeded));
    assert_eq!(call.code(), Some(Code::DeadlineExceeded));
    let figures = &calls.figures()[0];
    assert_eq!(&*figures.method, "a.A/A");
    assert_eq!((figures.ended[4], figures.in_flight), (1, 0));
}

/// Waits for calls to end whose callers have left: their connection has to notice.
async fn all_ended(calls: &Calls) {
    let began = Instant::now();
    while calls.figures().iter().any(|it| it.in_flight > 0) {
        assert!(began.elapsed() < Duration::from_secs(5), "a call goes on");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_caller_that_leaves_has_cancelled() {
    let quiet = service_fn(async |_: Asked| {
        let pieces = stream::iter([message(3)]).chain(stream::pending());
        Ok::<_, Infallible>(answer_of(pieces, Some("0")))
    });
    let calls = Calls::default();
    let mut client = Client::of(only(quiet).calls(calls.clone())).await;
    // While a request goes on, to drop its answer is not to leave.
    let body = Empty::new().map_err(|never| match never {});
    let mut response = client.begin(request("/a.A/A", body)).await;
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(calls.figures()[0].in_flight, 1);
    drop(response);
    all_ended(&calls).await;
    assert_eq!(calls.figures()[0].ended[1], 1);
    assert_eq!(calls.figures()[0].count, 0);
}

/// Cuts, replies and callers that leave, all at once and on several workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_call_ends_once_whoever_is_first() {
    let calls = Calls::default();
    let cuts = Arc::new(AtomicU64::new(0));
    let (counted, answered) = (calls.clone(), Arc::clone(&cuts));
    // Who serves the connection cuts some calls, now or later.
    let app = ServiceBuilder::new()
        .map_request(move |mut request: http::Request<_>| {
            let call = Call::new(MessageLimits::default(), Some(counted.clone()));
            request.extensions_mut().insert(call.clone());
            let wait: u64 = request.uri().query().unwrap().parse().unwrap();
            let answered = Arc::clone(&answered);
            if wait.is_multiple_of(2) {
                TokioExecutor::new().execute(async move {
                    sleep(Duration::from_micros(wait * 50)).await;
                    let cut = call.cut(late());
                    answered.fetch_add(u64::from(cut), Ordering::Relaxed);
                });
            }
            request
        })
        .service(only(service_fn(async |request: Asked| {
            let wait: u64 = request.uri().query().unwrap().parse().unwrap();
            sleep(Duration::from_micros(wait % 7 * 100)).await;
            let pieces = stream::iter([message(3), message(4)]).then(move |piece| async move {
                sleep(Duration::from_micros(wait % 5 * 100)).await;
                piece
            });
            Ok::<_, Infallible>(answer_of(pieces, Some("0")))
        })));
    let mut callers = JoinSet::new();
    for caller in 0..8_u64 {
        let app = app.clone();
        callers.spawn(async move {
            let mut client = Client::of(app).await;
            let mut told = [0_u64; 17];
            for i in 0..150 {
                let path = format!("/a.A/A?{}", (caller * 31 + i * 17) % 64);
                if i % 5 == 4 {
                    // It leaves in the middle.
                    let call = client.call(&path, vec![]);
                    timeout(Duration::from_micros(300), call).await.ok();
                    continue;
                }
                let answer = client.call(&path, vec![]).await;
                let code = answer.code().expect("it is told");
                told[usize::from(code.number())] += 1;
            }
            told
        });
    }
    let told = callers.join_all().await;
    let told: [u64; 17] = std::array::from_fn(|code| told.iter().map(|it| it[code]).sum());
    assert_eq!(told[0] + told[4], 8 * 120);
    assert!(told[0] > 0 && told[4] > 0);
    all_ended(&calls).await;
    let figures = calls.figures();
    let ended = |code: usize| figures.iter().map(|it| it.ended[code]).sum::<u64>();
    assert_eq!(
        (0..17).map(ended).sum::<u64>(),
        ended(0) + ended(1) + ended(4)
    );
    assert!(ended(0) >= told[0] && ended(4) >= told[4]);
    assert_eq!(ended(4), cuts.load(Ordering::Relaxed));
}
