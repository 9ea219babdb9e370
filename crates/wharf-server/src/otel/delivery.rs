//! [`Delivery`]: one message on its way to the collector, by OTLP over HTTP or gRPC.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use prost::Message;
use tokio::time::timeout;
use wharf_upstream::{
    BoxError, EndpointAddress, LinkLocal, ResponseBody, ResponseTimeout, SendError, SendOptions,
    StartError, Upstream, UpstreamSetup,
};

use super::wire::{ExportResponse, PartialSuccess};
use crate::config::{OtelConfig, OtelProtocol, Signal};

/// How much of an answer is read.
const LONGEST_ANSWER: usize = 64 << 10;

/// Who sends, as collectors' logs have it.
const AGENT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    /// It may be taken later.
    #[error("{0}")]
    ForNow(String),
    /// It never will.
    #[error("{0}")]
    ForGood(String),
}

/// The way to a collector.
#[derive(Debug)]
pub(super) struct Delivery {
    upstream: Upstream,
    config: Arc<OtelConfig>,
    path: String,
}

impl Delivery {
    /// The way to the collector at `address`, below `path`. To be called in a runtime.
    ///
    /// # Errors
    ///
    /// What of it cannot be had.
    pub(super) fn start(
        config: Arc<OtelConfig>,
        address: EndpointAddress,
        path: String,
    ) -> Result<Self, StartError> {
        // What speaks gRPC without TLS speaks HTTP/2 without asking.
        let address = match (config.settings.protocol, config.tls.is_some()) {
            (OtelProtocol::Grpc, false) => {
                let known = address.to_string().replacen("http://", "h2c://", 1);
                known.parse().unwrap_or(address)
            }
            (OtelProtocol::Grpc, true) | (OtelProtocol::Http, _) => address,
        };
        let mut setup = UpstreamSetup::new("otel".parse()?, [address]);
        setup.settings.pool.protocol.min_idle = None;
        // It is as the operator has written it.
        setup.link_local = LinkLocal::Allow;
        if let Some(tls) = &config.tls {
            setup.tls = Some(Arc::clone(&tls.config));
            setup.server_name.clone_from(&tls.server_name);
        }
        Ok(Self {
            upstream: Upstream::start(setup)?,
            config,
            path,
        })
    }

    /// Leaves the collector.
    pub(super) async fn close(self) {
        self.upstream.close(Duration::ZERO).await;
    }

    /// Sends a message; returns how much of it the collector did not want.
    ///
    /// # Errors
    ///
    /// It has nothing of it, as far as is known.
    pub(super) async fn send(&self, signal: Signal, message: Bytes) -> Result<u64, Undelivered> {
        let limit = self.config.settings.timeout;
        let sent = timeout(limit, self.exchange(signal, message)).await;
        sent.unwrap_or_else(|_| Err(Undelivered::ForNow(format!("no answer within {limit:?}"))))
    }

    async fn exchange(&self, signal: Signal, message: Bytes) -> Result<u64, Undelivered> {
        let is_grpc = self.config.settings.protocol == OtelProtocol::Grpc;
        let message = if is_grpc { framed(&message) } else { message };
        let body = Full::new(message).map_err(|none| match none {});
        let mut request = Request::post(self.target(signal))
            .body(body.boxed_unsync())
            .map_err(|error| Undelivered::ForGood(error.to_string()))?;
        self.describe(request.headers_mut(), is_grpc);
        let mut options = SendOptions::default();
        // All of it has one limit.
        options.response_timeout = ResponseTimeout::Off;
        let answer = self.upstream.send(request, &options).await;
        let answer = answer.map_err(|error| {
            if let SendError::BadRequest { .. } = error {
                Undelivered::ForGood(told(&error))
            } else {
                Undelivered::ForNow(told(&error))
            }
        })?;
        if is_grpc {
            judged_call(answer).await
        } else {
            judged(answer).await
        }
    }

    fn target(&self, signal: Signal) -> String {
        const CALL: &str = "/opentelemetry.proto.collector";
        match (self.config.settings.protocol, signal) {
            (OtelProtocol::Http, Signal::Traces) => format!("{}/v1/traces", self.path),
            (OtelProtocol::Http, Signal::Metrics) => format!("{}/v1/metrics", self.path),
            (OtelProtocol::Grpc, Signal::Traces) => format!("{CALL}.trace.v1.TraceService/Export"),
            (OtelProtocol::Grpc, Signal::Metrics) => {
                format!("{CALL}.metrics.v1.MetricsService/Export")
            }
        }
    }

    fn describe(&self, fields: &mut HeaderMap, is_grpc: bool) {
        for (name, value) in &self.config.headers {
            fields.append(name, value.clone());
        }
        let kind = if is_grpc {
            fields.insert(TE, HeaderValue::from_static("trailers"));
            "application/grpc"
        } else {
            fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            "application/x-protobuf"
        };
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        fields.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    }
}

/// What an answer over HTTP says (OTLP 1.9, "OTLP/HTTP Response").
async fn judged(answer: Response<ResponseBody>) -> Result<u64, Undelivered> {
    let (head, body) = answer.into_parts();
    let status = head.status;
    if status.is_success() {
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        return body.map_or(Ok(0), |body| Ok(rejected(&body.to_bytes())));
    }
    let passing = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let why = format!("the collector answers {status}");
    Err(if passing.contains(&status) {
        Undelivered::ForNow(why)
    } else {
        Undelivered::ForGood(why)
    })
}

/// What an answer to a call says (OTLP 1.9, "OTLP/gRPC Response").
async fn judged_call(answer: Response<ResponseBody>) -> Result<u64, Undelivered> {
    /// Cancelled, deadline exceeded, resource exhausted, aborted, out of range, unavailable, data loss.
    const PASSING: [u8; 7] = [1, 4, 8, 10, 11, 14, 15];
    let (head, body) = answer.into_parts();
    let code = |fields: &HeaderMap| {
        let code = fields.get("grpc-status")?.to_str().ok()?;
        code.parse::<u8>().ok()
    };
    let broken = |error: BoxError| Undelivered::ForNow(format!("the answer broke off: {error}"));
    let body = Limited::new(body, LONGEST_ANSWER).collect().await;
    let body = body.map_err(broken)?;
    let code = body
        .trailers()
        .and_then(code)
        .or_else(|| code(&head.headers));
    match code {
        Some(0) => Ok(body.to_bytes().get(5..).map_or(0, rejected)),
        Some(code) => {
            let why = format!("the collector answers with code {code}");
            Err(if PASSING.contains(&code) {
                Undelivered::ForNow(why)
            } else {
                Undelivered::ForGood(why)
            })
        }
        None => {
            let why = format!("the collector answers {} and no gRPC", head.status);
            Err(Undelivered::ForNow(why))
        }
    }
}

/// How much of a message the collector did not want, as it says.
fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportResponse::decode(answer).ok();
    let partial = answer.and_then(|answer| answer.partial_success);
    let rejected = partial.map_or(0, |PartialSuccess { rejected, .. }| rejected);
    u64::try_from(rejected).unwrap_or_default()
}

/// A message of gRPC: not compressed, so long, and then it.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(5 + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

fn told(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        chain = format!("{chain}: {error}");
        cause = error.source();
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_wanted_is_counted_and_nonsense_is_nothing() {
        let answer = ExportResponse {
            partial_success: Some(PartialSuccess {
                rejected: 7,
                error_message: "no".to_owned(),
            }),
        };
        assert_eq!(rejected(&answer.encode_to_vec()), 7);
        assert_eq!((rejected(b""), rejected(b"\xff\xff\xff")), (0, 0));
    }

    #[test]
    fn a_message_of_grpc_says_its_length() {
        assert_eq!(framed(b"abc"), &b"\0\0\0\0\x03abc"[..]);
    }
}
