//! [`Member`]: one member of a cluster, and the calls that it is asked by.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codegen::tokio_stream::{StreamExt, once, pending};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Status, Streaming};
use tower_service::Service;

use super::proto::auth_client::AuthClient;
use super::proto::kv_client::KvClient;
use super::proto::watch_client::WatchClient;
use super::proto::watch_request::RequestUnion;
use super::proto::{
    AuthenticateRequest, RangeRequest, RangeResponse, WatchCreateRequest, WatchRequest,
    WatchResponse,
};
use super::{Etcd, keys};
use crate::address::{EndpointAddress, Scheme};
use crate::body::{BoxError, ResponseBody, SendBody};
use crate::error::SendError;
use crate::options::SendOptions;
use crate::setup::{StartError, UpstreamSetup};
use crate::upstream::Upstream;

/// How long a member may take to answer a call.
const ANSWER: Duration = Duration::from_secs(3);

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(2);

/// Silence on a watch after which it is asked whether it is there, and the wait for the answer. etcd takes more than
/// one PING in 5 s for abuse (`grpc-keepalive-min-time`).
const SILENCE: Duration = Duration::from_secs(8);
const PONG: Duration = Duration::from_secs(4);

/// One member of a cluster. Its connection ends with it.
pub(super) struct Member {
    asked: Asked,
    token: Option<MetadataValue<Ascii>>,
    key: Vec<u8>,
    range_end: Vec<u8>,
}

impl Member {
    /// A member, as the user of whom there are credentials.
    pub(super) async fn of(etcd: &Etcd, member: &EndpointAddress) -> Result<Self, Unanswered> {
        let mut asked = Self {
            asked: Asked(connection(etcd, member)?),
            token: None,
            key: etcd.prefix.clone().into_bytes(),
            range_end: keys::range_end(etcd.prefix.as_bytes()),
        };
        if let Some(credentials) = &etcd.credentials {
            let request = AuthenticateRequest {
                name: credentials.user.clone(),
                password: credentials.password.clone(),
            };
            let mut client = AuthClient::new(asked.asked.clone());
            let token = within(client.authenticate(request)).await?.token;
            let token = MetadataValue::try_from(token);
            asked.token = Some(token.map_err(|_| Status::internal("the token is none"))?);
        }
        Ok(asked)
    }

    /// The first keys below the prefix, behind those that are told already; as they are now, or were then.
    pub(super) async fn range(&self, page: Page) -> Result<RangeResponse, Unanswered> {
        let key = page.from.unwrap_or_else(|| self.key.clone());
        let request = RangeRequest {
            key,
            range_end: self.range_end.clone(),
            limit: page.limit,
            revision: page.revision,
        };
        let mut client = KvClient::new(self.asked.clone());
        within(client.range(self.signed(request))).await
    }

    /// What happens below the prefix from a revision on.
    pub(super) async fn watch(&self, from: i64) -> Result<Streaming<WatchResponse>, Unanswered> {
        let create = WatchCreateRequest {
            key: self.key.clone(),
            range_end: self.range_end.clone(),
            start_revision: from,
            progress_notify: true,
        };
        let create = WatchRequest {
            request_union: Some(RequestUnion::CreateRequest(create)),
        };
        // The end of the requests would be the end of the watch.
        let mut request = self.signed(once(create).chain(pending()));
        // A member that has lost the others ends the watch, and does not go on as if nothing happened.
        request
            .metadata_mut()
            .insert("hasleader", MetadataValue::from_static("true"));
        let mut client = WatchClient::new(self.asked.clone());
        within(client.watch(request)).await
    }

    fn signed<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }
}

/// Some of the keys below the prefix.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    /// The first one, if it is not the prefix itself.
    pub(super) from: Option<Vec<u8>>,
    /// How many at the most.
    pub(super) limit: i64,
    /// As of when; 0 for now.
    pub(super) revision: i64,
}

/// Why a member does not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The connection cannot be configured.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It took too long.
    #[error("no answer within {ANSWER:?}")]
    Late,
    /// It refused, or could not be reached.
    #[error("{}", told(.0))]
    Status(#[from] Status),
}

impl Unanswered {
    /// Whether there was an answer, which is more than is taken in one message (4 MiB).
    pub(super) fn is_too_large(&self) -> bool {
        matches!(self, Self::Status(status) if status.code() == Code::OutOfRange)
    }
}

/// What etcd says, else what the connection does, down to its cause.
fn told(status: &Status) -> String {
    let mut told = status.message().to_owned();
    if status.code() != Code::Unknown || told.is_empty() {
        told = format!("{} ({:?})", told, status.code());
    }
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let next = error.to_string();
        // The status has the first one's text as its own.
        if !told.contains(&next) {
            told = format!("{told}: {next}");
        }
        cause = error.source();
    }
    told.chars().take(300).collect()
}

async fn within<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Unanswered> {
    let answered = timeout(ANSWER, call).await.map_err(|_| Unanswered::Late)?;
    Ok(answered?.into_inner())
}

/// An upstream of this member and no other.
fn connection(etcd: &Etcd, member: &EndpointAddress) -> Result<Upstream, StartError> {
    let member = match member.scheme() {
        // gRPC knows no other way without TLS.
        Scheme::Http | Scheme::H2c => member.clone().spoken(Scheme::H2c),
        Scheme::Https => member.clone(),
    };
    // Its pool is its own: nobody else sees the name.
    let mut setup = UpstreamSetup::new("etcd".parse()?, [member]);
    setup.tls.clone_from(&etcd.tls);
    setup.server_name.clone_from(&etcd.server_name);
    setup.settings.outlier.enabled = false;
    let pool = &mut setup.settings.pool;
    // A watch lives for as long as the member does.
    pool.common.max_age = None;
    let protocol = &mut pool.protocol;
    protocol.min_idle = None;
    protocol.connect_timeout = CONNECT;
    protocol.response_timeout = None;
    protocol.ping_interval = Some(SILENCE);
    protocol.ping_timeout = PONG;
    Upstream::start(setup)
}

/// An upstream, as tonic calls a service.
#[derive(Clone)]
struct Asked(Upstream);

impl Service<Request<Body>> for Asked {
    type Response = Response<ResponseBody>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, SendError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let upstream = self.0.clone();
        let request = request.map(|body| SendBody::new(body.map_err(BoxError::from)));
        Box::pin(async move { upstream.send(request, &SendOptions::default()).await })
    }
}
