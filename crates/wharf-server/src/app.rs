//! [`App`]: what a listener serves: the first route that matches answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::routing::future::RouteFuture;
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tonic::service::Routes as Services;
use tower_service::Service;
use wharf_http::admission::{Rank, Ranking};
use wharf_http::grpc::{Supervised, is_call, only};
use wharf_http::{BoxError, RequestBody};

use crate::config::{HTTPS, Priority, Route, Target};
use crate::demo::{self, AppBody};
use crate::gateway::{Calls, Forwarding, Scheme};
use crate::otel;

/// The application of one listener. Every connection has a copy, in a word.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    routes: Routes,
    demo: Router,
    /// gRPC of our own: the demo's, health, reflection.
    services: Supervised<Services>,
    /// How clients reach the listener.
    scheme: Scheme,
}

/// The routes of one listener: a change holds from the next request on, on open connections too.
#[derive(Clone, Debug)]
pub(crate) struct Routes(Arc<ArcSwap<Ways>>);

#[derive(Debug)]
struct Ways {
    list: Vec<Way>,
    ranks: Ranks,
}

/// One route, and what answers it if that is an upstream.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) route: Route,
    pub(crate) forwarding: Option<Arc<Forwarding>>,
}

/// How important requests are whose route says nothing of it.
#[derive(Clone, Debug)]
pub(crate) struct Ranks {
    /// What is known of who asks.
    pub(crate) ranking: Ranking,
    /// If that is nothing.
    pub(crate) otherwise: Rank,
}

impl Routes {
    /// The first that matches answers.
    pub(crate) fn new(list: Vec<Way>, ranks: Ranks) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Ways { list, ranks })))
    }

    /// From now on these.
    pub(crate) fn set(&self, list: Vec<Way>, ranks: Ranks) {
        self.0.store(Arc::new(Ways { list, ranks }));
    }

    /// How important a request is, and who works on it.
    pub(crate) fn rank<B>(&self, request: &Request<B>) -> Rank {
        // Whoever balances between several of us has to hear that we are well.
        if is_below(request.uri().path(), HEALTH) && is_call(request) {
            return Rank::exempt();
        }
        let ways = self.0.load();
        let way = ways.way(request);
        let said = way.and_then(|way| way.route.priority).map(Priority::rank);
        let Ranks { ranking, otherwise } = &ways.ranks;
        let rank = ranking.rank(request, said, *otherwise);
        match way.and_then(|way| way.forwarding.as_ref()) {
            Some(_) => rank.forwarded(),
            None => rank,
        }
    }
}

impl Ways {
    fn way<B>(&self, request: &Request<B>) -> Option<&Way> {
        self.list.iter().find(|way| matches(&way.route, request))
    }
}

/// The service that says how we are.
const HEALTH: &str = "/grpc.health.v1.Health";

impl App {
    /// Answers by `routes`; calls that they send nowhere by `services`.
    pub(crate) fn new(routes: Routes, services: Services, scheme: Scheme) -> Self {
        Self(Arc::new(Parts {
            routes,
            demo: demo::router(),
            services: only(services),
            scheme,
        }))
    }

    /// gRPC has no routes of its own: a call is for the upstream whose route it matches, else for us.
    fn call(&self, way: Option<&Way>, request: Request<RequestBody>) -> Answering {
        let forwarding = way.and_then(|way| way.forwarding.as_ref());
        // Whoever balances between several of us asks for our own health, unless a route says else.
        let asks_us =
            |it: &&Arc<Forwarding>| is_below(request.uri().path(), HEALTH) && !it.names(HEALTH);
        Answering::Boxed {
            answer: match forwarding.filter(|it| !asks_us(it)) {
                Some(forwarding) => {
                    let calls = Calls::new(Arc::clone(forwarding));
                    boxed(only(calls).call(request))
                }
                None => boxed(self.0.services.clone().call(request)),
            },
        }
    }
}

impl Service<Request<RequestBody>> for App {
    type Response = Response<AppBody>;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Answering {
        let routes = self.0.routes.0.load();
        let way = routes.way(&request);
        let is_call = is_call(&request);
        if let Some(way) = way {
            let route = (way.route.path.as_str(), self.0.scheme, is_call);
            otel::routed(request.extensions(), route);
        }
        if is_call {
            return Self::call(self, way, request);
        }
        match way.map(|way| (&way.route.target, &way.forwarding)) {
            // The one path that is measured: no router, no boxed future, no boxed body.
            Some((Target::Demo, _))
                if request.uri().path() == "/hello" && request.method() == Method::GET =>
            {
                Answering::ready(StatusCode::OK, Bytes::from_static(demo::HELLO))
            }
            Some((Target::Demo, _)) => Answering::Routed {
                answer: self.0.demo.clone().call(request),
            },
            Some((Target::Respond { status, body }, _)) => {
                Answering::ready(*status, Bytes::from(body.clone()))
            }
            Some((Target::Redirect { port }, _)) => redirect(&request, *port),
            Some((Target::Upstream(_), Some(forwarding))) => {
                let forwarding = Arc::clone(forwarding);
                Answering::Boxed {
                    answer: Box::pin(async move { Ok(forwarding.answer(request).await) }),
                }
            }
            None | Some((Target::Upstream(_), None)) => {
                Answering::ready(StatusCode::NOT_FOUND, Bytes::from_static(b"not found\n"))
            }
        }
    }
}

/// An answer to a call, as the others are.
fn boxed<B>(
    answer: impl Future<Output = Result<Response<B>, BoxError>> + Send + 'static,
) -> BoxFuture<'static, Result<Response<AppBody>, BoxError>>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    Box::pin(async { Ok(answer.await?.map(AppBody::streamed)) })
}

/// The answer to one request.
pub(crate) enum Answering {
    /// It is there.
    Ready { answer: Option<Response<AppBody>> },
    /// A handler makes it.
    Routed { answer: RouteFuture<Infallible> },
    /// It takes longer than what is boxed for it.
    Boxed {
        answer: BoxFuture<'static, Result<Response<AppBody>, BoxError>>,
    },
}

impl Answering {
    fn ready(status: StatusCode, body: Bytes) -> Self {
        let mut answer = Response::new(AppBody::whole(body));
        *answer.status_mut() = status;
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(header::CONTENT_TYPE, text);
        Self::Ready {
            answer: Some(answer),
        }
    }
}

impl Future for Answering {
    type Output = Result<Response<AppBody>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready { answer } => answer.take().map_or(Poll::Pending, |a| Poll::Ready(Ok(a))),
            Self::Routed { answer } => Pin::new(answer)
                .poll(cx)
                .map_ok(|answer| answer.map(AppBody::Streamed))
                .map_err(|none| match none {}),
            Self::Boxed { answer } => answer.as_mut().poll(cx),
        }
    }
}

/// Sends a client to the same place by https; who names no host cannot be sent anywhere.
fn redirect<B>(request: &Request<B>, port: u16) -> Answering {
    let (host, uri) = (host_of(request), request.uri());
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let port = if port == HTTPS {
        String::new()
    } else {
        format!(":{port}")
    };
    let place = HeaderValue::try_from(format!("https://{host}{port}{path}"));
    match place {
        Ok(place) if !host.is_empty() => {
            // 308 and not 301: the method and the body go with it.
            let mut answering = Answering::ready(StatusCode::PERMANENT_REDIRECT, Bytes::new());
            if let Answering::Ready {
                answer: Some(answer),
            } = &mut answering
            {
                answer.headers_mut().insert(header::LOCATION, place);
            }
            answering
        }
        _ => Answering::ready(
            StatusCode::BAD_REQUEST,
            Bytes::from_static(b"the request names no host\n"),
        ),
    }
}

/// Whether the route is for this request; the listener has been decided before.
fn matches<B>(route: &Route, request: &Request<B>) -> bool {
    is_below(request.uri().path(), &route.path)
        && route
            .host
            .as_ref()
            .is_none_or(|host| host_of(request).eq_ignore_ascii_case(host))
}

/// Whether `path` is `prefix` or something below it: `/api` is not the beginning of `/apis`.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

/// The host that a request is for, without its port.
fn host_of<B>(request: &Request<B>) -> &str {
    let header = || {
        request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
    };
    let host = request.uri().host().or_else(header).unwrap_or("");
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_segment() {
        assert!(is_below("/api", "/api") && is_below("/api/x", "/api") && is_below("/x", "/"));
        assert!(is_below("/api/x", "/api/"));
        assert!(!is_below("/apis", "/api") && !is_below("/api", "/api/"));
    }

    #[test]
    fn a_redirect_keeps_host_path_and_query_and_names_a_port_that_is_not_the_usual_one() {
        let told = |host: &str, target: &str, port| {
            let request = Request::builder().uri(target).header("host", host);
            match redirect(&request.body(()).unwrap(), port) {
                Answering::Ready { answer } => {
                    let answer = answer.unwrap();
                    let place = answer.headers().get(header::LOCATION);
                    let place = place.map(|place| place.to_str().unwrap().to_owned());
                    (answer.status().as_u16(), place.unwrap_or_default())
                }
                Answering::Routed { .. } | Answering::Boxed { .. } => {
                    panic!("no handler redirects")
                }
            }
        };
        let at = |place: &str| (308, place.to_owned());
        assert_eq!(
            told("a.example:80", "/b?c=d", 443),
            at("https://a.example/b?c=d")
        );
        assert_eq!(told("[::1]", "/", 8443), at("https://[::1]:8443/"));
        assert_eq!(told("", "/", 443), (400, String::new()));
    }

    #[test]
    fn a_host_is_compared_without_port_and_case() {
        let route = Route {
            host: Some("a.example".to_owned()),
            ..Route::everything_to_demo()
        };
        let to = |host| Request::builder().header("host", host).body(()).unwrap();
        assert!(matches(&route, &to("A.example:8080")) && matches(&route, &to("a.example")));
        assert!(!matches(&route, &to("b.example")) && !matches(&route, &to("a.example.b")));
    }
}
