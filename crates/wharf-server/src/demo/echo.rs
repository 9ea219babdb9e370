//! [`Echo`]: the demo's gRPC service, `wharf.demo.v1.Echo`.
//!
//! What it does is said in its description, `proto/wharf/demo/v1/echo.proto`. A call with `demo-panic`
//! among its metadata panics, as `GET /panic` does.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::time::sleep;
use tonic::{Request, Response, Status, Streaming};

use super::proto::echo_server::Echo as Protocol;
use super::proto::{EchoReply, EchoRequest};

/// The longest delay, and the most replies to one request, that can be asked for.
const LONGEST_DELAY: Duration = Duration::from_hours(1);
const MOST_REPLIES: u32 = 1_000_000;

/// The longest reply that is put together: more than callers take by default, so that the limit of
/// what is sent can be tried too.
const LONGEST_REPLY: usize = 8 << 20;

/// The service. It keeps nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo;

type Replies = Pin<Box<dyn Stream<Item = Result<EchoReply, Status>> + Send>>;

#[tonic::async_trait]
impl Protocol for Echo {
    async fn unary(&self, request: Request<EchoRequest>) -> Result<Response<EchoReply>, Status> {
        panic_if_asked(&request);
        let request = request.into_inner();
        let mut message = String::new();
        append(&mut message, &request)?;
        pause(delay(&request)).await;
        Ok(Response::new(EchoReply { message }))
    }

    type ServerStreamStream = Replies;

    async fn server_stream(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<Replies>, Status> {
        panic_if_asked(&request);
        Ok(Response::new(Box::pin(replies(request.into_inner()))))
    }

    async fn client_stream(
        &self,
        request: Request<Streaming<EchoRequest>>,
    ) -> Result<Response<EchoReply>, Status> {
        panic_if_asked(&request);
        let mut requests = request.into_inner();
        let mut message = String::new();
        while let Some(request) = requests.message().await? {
            append(&mut message, &request)?;
            pause(delay(&request)).await;
        }
        Ok(Response::new(EchoReply { message }))
    }

    type BidiStream = Replies;

    async fn bidi(
        &self,
        request: Request<Streaming<EchoRequest>>,
    ) -> Result<Response<Replies>, Status> {
        panic_if_asked(&request);
        // Each request's replies are over before the next request is read.
        let replies = request.into_inner().flat_map(|request| match request {
            Ok(request) => replies(request).left_stream(),
            Err(status) => stream::once(async { Err(status) }).right_stream(),
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

fn panic_if_asked<T>(request: &Request<T>) {
    assert!(
        !request.metadata().contains_key("demo-panic"),
        "asked for by the call"
    );
}

fn times(request: &EchoRequest) -> u32 {
    request.repeat.clamp(1, MOST_REPLIES)
}

fn delay(request: &EchoRequest) -> Duration {
    Duration::from_millis(request.delay_ms.into()).min(LONGEST_DELAY)
}

/// Waits for so long; a timer that is asked for nothing would still wait for its next tick.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}

/// The replies to one request.
fn replies(request: EchoRequest) -> impl Stream<Item = Result<EchoReply, Status>> + Send {
    let (times, delay) = (times(&request), delay(&request));
    stream::unfold((0, request.message), move |(sent, message)| async move {
        if sent == times {
            return None;
        }
        pause(delay).await;
        let reply = EchoReply {
            message: message.clone(),
        };
        Some((Ok(reply), (sent + 1, message)))
    })
}

/// Adds a request's message to a reply, as often as it says.
fn append(reply: &mut String, request: &EchoRequest) -> Result<(), Status> {
    let times = times(request) as usize;
    let length = request.message.len().saturating_mul(times);
    if reply.len().saturating_add(length) > LONGEST_REPLY {
        return Err(Status::resource_exhausted("the reply is longer than 8 MiB"));
    }
    reply.reserve(length);
    for _ in 0..times {
        reply.push_str(&request.message);
    }
    Ok(())
}
