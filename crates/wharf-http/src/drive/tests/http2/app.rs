//! The application of these tests: what a path asks for.

use http::HeaderMap;

use super::*;
use crate::websocket::{CloseCode, CloseFrame, Message, Queued, WebSocket, WebSocketUpgrade};

type Sent = http_body_util::combinators::UnsyncBoxBody<Bytes, crate::BoxError>;
type Asked = Request<RequestBody>;
type Called = Request<grpc::RequestBody<RequestBody>>;

/// Counts a handler as long as it lives.
struct AtWork(Arc<AtomicU32>);

impl AtWork {
    fn new(handlers: &Arc<AtomicU32>) -> Self {
        handlers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(handlers))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The application; how many of its handlers are at work is counted in `handlers`.
pub(super) fn app(handlers: &Arc<AtomicU32>) -> impl App {
    let of_app = Arc::clone(handlers);
    let of_calls = Arc::clone(handlers);
    let plain = tower::service_fn(move |request: Asked| {
        let at_work = AtWork::new(&of_app);
        async move {
            let response = answer(request).await;
            drop(at_work);
            response
        }
    });
    let calls = tower::service_fn(move |request: Called| {
        let at_work = AtWork::new(&of_calls);
        async move {
            let response = call(request).await;
            drop(at_work);
            response
        }
    });
    grpc::beside(plain, calls)
}

/// `/action/number`
fn parts<B>(request: &Request<B>) -> (String, u64) {
    let path = request.uri().path();
    let (action, number) = path[1..].split_once('/').unwrap_or((&path[1..], "0"));
    (action.to_owned(), number.parse().unwrap_or(0))
}

/// What a session's handler does.
async fn handle(mut session: WebSocket, handler: String) {
    match handler.as_str() {
        "leave" => return,
        "panic" => assert_eq!(handler, "as asked"),
        "deaf" => return sleep(24 * 3600 * SECOND).await,
        "close" => {
            session.push("last words");
            let why = CloseFrame::new(CloseCode::new(4000).unwrap(), "bye");
            session.close(why);
            assert_eq!(session.push("too late"), Queued::Ended);
        }
        "flood" => {
            for _ in 0..2 {
                session.send(vec![b'x'; 60_000]).await.unwrap();
                // What of it can go, goes.
                sleep(Duration::from_millis(10)).await;
            }
            while session.push(vec![b'x'; 60_000]) != Queued::TooSlow {}
        }
        "halves" => {
            let (mut sender, mut receiver) = session.split();
            let (give, mut take) = tokio::sync::mpsc::channel(1);
            let telling = TaskTracker::new().spawn(async move {
                while let Some(message) = take.recv().await {
                    sender.send(message).await.unwrap();
                }
            });
            while let Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) =
                receiver.recv().await
            {
                give.send(message).await.unwrap();
            }
            drop(give);
            return telling.await.unwrap();
        }
        _ => {}
    }
    while let Some(Ok(message)) = session.recv().await {
        if session.send(message).await.is_err() {
            return;
        }
    }
}

async fn answer(mut request: Asked) -> Result<Response<Sent>, crate::BoxError> {
    let (action, number) = parts(&request);
    if let Some(handler) = action.strip_prefix("ws-") {
        let handler = handler.to_owned();
        let upgrade = WebSocketUpgrade::from_request(&mut request)?.protocols(["two", "one"]);
        let response = upgrade.on_upgrade(|session| handle(session, handler));
        return Ok(response.map(|body| body.map_err(|never| match never {}).boxed_unsync()));
    }
    if action == "tunnel" {
        let echo = request.into_body();
        return Ok(Response::new(echo.boxed_unsync()));
    }
    let text = |text: String| Ok(of(Full::from(text)));
    match action.as_str() {
        "early" => return text("early".to_owned()),
        "panic" => panic!("as asked"),
        "panic-in-body" => return Ok(broken(true)),
        "fail-in-body" => return Ok(broken(false)),
        "large" => return Ok(large(number)),
        "fails" => return Err("as asked".into()),
        "panic-in-drop" => return Ok(of(PanicsInDrop)),
        _ => {}
    }
    if action == "unread" {
        sleep(SECOND * u32::try_from(number)?).await;
    }
    let collected = request.into_body().collect().await?;
    let trailers = collected.trailers().cloned();
    let length = collected.to_bytes().len();
    match action.as_str() {
        "wait" => {
            sleep(SECOND * u32::try_from(number)?).await;
            text("waited".to_owned())
        }
        "quiet" => Ok(quiet(SECOND * u32::try_from(number)?)),
        "trailers" => {
            let (data, end) = (
                Bytes::from(length.to_string()),
                trailers.unwrap_or_default(),
            );
            let frames = [Frame::data(data), Frame::trailers(end)].map(Ok);
            Ok(streamed(futures_util::stream::iter(frames)))
        }
        "204" | "304" => {
            let mut response = of(Full::from("not to be sent"));
            *response.status_mut() = action.parse()?;
            Ok(response)
        }
        _ => text(length.to_string()),
    }
}

fn of<B>(body: B) -> Response<Sent>
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    Response::new(body.map_err(|never| match never {}).boxed_unsync())
}

fn streamed<S>(pieces: S) -> Response<Sent>
where
    S: futures_util::Stream<Item = Result<Frame<Bytes>, crate::BoxError>> + Send + 'static,
{
    Response::new(StreamBody::new(pieces).boxed_unsync())
}

/// So many bytes in pieces of a kibibyte, of a length that is not told before.
fn large(bytes: u64) -> Response<Sent> {
    let pieces = futures_util::stream::unfold(bytes, |left| async move {
        let piece = left.min(1024);
        let zeros = vec![0; usize::try_from(piece).unwrap()];
        (left > 0).then(|| (Ok(Frame::data(zeros.into())), left - piece))
    });
    streamed(pieces)
}

/// Two events, each after a pause.
fn quiet(pause: Duration) -> Response<Sent> {
    let events = futures_util::stream::unfold(0, move |sent| async move {
        sleep(pause).await;
        (sent < 2).then(|| (Ok(Frame::data(Bytes::from_static(b"event\n"))), sent + 1))
    });
    streamed(events)
}

/// A body that breaks after its first piece.
fn broken(panics: bool) -> Response<Sent> {
    let pieces = futures_util::stream::unfold(0, move |sent| async move {
        assert!(sent == 0 || !panics, "as asked");
        let piece = match sent {
            0 => Ok(Frame::data(Bytes::from_static(b"begun"))),
            _ => Err("as asked".into()),
        };
        Some((piece, sent + 1))
    });
    streamed(pieces)
}

/// A call of one message each way.
async fn call(request: Called) -> Result<Response<Sent>, Infallible> {
    let (action, number) = parts(&request);
    let pause = SECOND * u32::try_from(number).unwrap();
    let message = Frame::data(Bytes::from_static(b"\0\0\0\0\x03abc"));
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frames = match action.as_str() {
        "panic" => panic!("as asked"),
        "wait" | "collect" => {
            if action == "collect" {
                request.into_body().collect().await.unwrap();
            }
            sleep(pause).await;
            vec![
                (Duration::ZERO, message),
                (Duration::ZERO, Frame::trailers(trailers)),
            ]
        }
        // Its head and a message are there at once.
        _ => vec![
            (Duration::ZERO, message),
            (pause, Frame::trailers(trailers)),
        ],
    };
    let frames = futures_util::stream::unfold(frames.into_iter(), |mut frames| async move {
        let (pause, frame) = frames.next()?;
        sleep(pause).await;
        Some((Ok(frame), frames))
    });
    let mut response = streamed(frames);
    let kind = "application/grpc".parse().unwrap();
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}
