//! The HTTP/1 meter against hyper: of what the meter passes, hyper serves the same requests with the
//! same bodies, and none besides.
#![no_main]
#![allow(dead_code, reason = "a target uses a part of the modules")]

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/wharf-http/src/http1"]
mod http1 {
    mod chunked;
    mod fields;
    pub(crate) mod head;
    mod head_scan;
    mod host;
    mod meter;
    mod octets;
    pub(crate) mod oracle;
    mod plain_head;
    mod violation;
}

use http1::head::{BodyFraming, HeadLimits};
use http1::oracle::{Answer, Event, events};

const LIMITS: HeadLimits = HeadLimits {
    max_header_size: 32 << 10,
    max_headers: 100,
    max_target: 8 << 10,
    max_body_size: None,
};

/// A method, and the size of its body if that came to its end.
type Served = (String, Option<u64>);

fuzz_target!(|data: &[u8]| {
    let Some((&how, input)) = data.split_first() else {
        return;
    };
    let events = events(&LIMITS, input, [], Answer::Refuse);
    let passed = match events.last() {
        Some(&Event::Refused(_, at)) => &input[..at],
        _ => input,
    };
    let step = if how & 1 == 0 {
        usize::from(how) + 1
    } else {
        passed.len().max(1)
    };
    let served = serve(passed, step);
    let expected = expected(passed, &events);
    let ends_early = events
        .iter()
        .position(|event| matches!(event, Event::Head(head, _) if !head.asks.keep_alive()));
    assert!(
        served.len() <= expected.len(),
        "smuggled: {served:?} {expected:?}"
    );
    for (served, expected) in served.iter().zip(&expected) {
        assert_eq!(served, expected);
    }
    if ends_early.is_none() {
        assert_eq!(served.len(), expected.len(), "{served:?} {expected:?}");
    }
});

fn expected(passed: &[u8], events: &[Event]) -> Vec<Served> {
    let (mut at, mut all) = (0, Vec::new());
    for (index, event) in events.iter().enumerate() {
        match *event {
            Event::Blank => at += 2,
            Event::Head(head, length) => {
                let end = passed[at..]
                    .iter()
                    .position(|&byte| byte == b' ')
                    .unwrap_or_default();
                let method = String::from_utf8_lossy(&passed[at..at + end]).into_owned();
                let body = match (head.body, events.get(index + 1)) {
                    (BodyFraming::None | BodyFraming::Length(0), _) => Some(0),
                    (_, Some(&Event::Body(_, payload, true))) => Some(payload),
                    _ => None,
                };
                all.push((method, body));
                at += length;
            }
            Event::Body(bytes, ..) => at += bytes,
            Event::Held | Event::Tunnel(_) | Event::Refused(..) | Event::Partial(_) => {}
        }
    }
    all
}

/// What hyper makes of `input` when it arrives `step` bytes at a time and then ends.
fn serve(input: &[u8], step: usize) -> Vec<Served> {
    let served = Rc::new(RefCell::new(Vec::new()));
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let served = Rc::clone(&served);
        async move {
            let method = request.method().to_string();
            let index = served.borrow().len();
            served.borrow_mut().push((method, None));
            let (mut body, mut size) = (request.into_body(), 0);
            let mut is_whole = true;
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => size += frame.data_ref().map_or(0, |data| data.len() as u64),
                    Err(_) => is_whole = false,
                }
                if !is_whole {
                    break;
                }
            }
            served.borrow_mut()[index].1 = is_whole.then_some(size);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let io = Peer {
        input: input.to_vec(),
        at: 0,
        step,
    };
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100_000 {
        if connection.as_mut().poll(&mut context).is_ready() {
            break;
        }
    }
    served.take()
}

struct Peer {
    input: Vec<u8>,
    at: usize,
    step: usize,
}

impl Read for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self
            .step
            .min(self.input.len() - self.at)
            .min(buffer.remaining());
        buffer.put_slice(&self.input[self.at..self.at + length]);
        self.at += length;
        Poll::Ready(Ok(()))
    }
}

impl Write for Peer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
